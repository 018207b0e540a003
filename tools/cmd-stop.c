// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd shutdown, reboot, destroy, pause, unpause
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xlrbd.h"

/* Longer than a guest's own shutdown scripts may take. */
#define WAIT_S		300

static bool is_dead(const char *status)
{
	return !strcmp(status, "silent") || !strcmp(status, "fenced");
}

static bool is_dead_or_arriving(const char *status)
{
	return is_dead(status) || !strcmp(status, "arriving");
}

/* The row that says most: of a host that lives, or of any, or none. */
static const json_t *best_of(const json_t *rows)
{
	const json_t *row, *best = NULL;
	size_t i;

	json_array_foreach(rows, i, row) {
		if (!json_object_get(row, "host"))
			continue;
		if (!best || is_dead_or_arriving(text_of(best, "status")))
			best = row;
	}
	return best;
}

/* The host that runs it, or NULL after a sentence; freed by the caller. */
static char *find_elsewhere(struct session *s, const char *name)
{
	const char *host, *status;
	char *copy = NULL;
	json_t *rows;

	if (find_domains(s, name, &rows))
		return NULL;
	host = text_of(best_of(rows), "host");
	status = text_of(best_of(rows), "status");
	if (!*host)
		fail("%s: runs nowhere", name);
	else if (is_this_host(host))
		fail("%s: is gone from this host, but its disks are not released; see `xlrbd locks`, then `xlrbd gc`",
		     name);
	else if (is_dead(status))
		fail("%s: was running on %s (%s); if that host is dead: `xlrbd takeover %s`",
		     name, host, status, name);
	else if (s->given & OPT_HERE)
		fail("%s: runs on %s, not here", name, host);
	else
		copy = strdup(host);
	json_decref(rows);
	return copy;
}

int where_it_is(struct session *s, const char *name, here_fn *fn)
{
	unsigned int domid = NO_DOMAIN;
	char *host;
	int rc;

	/* On a machine without Xen every domain is elsewhere. */
	if (xen_is_here()) {
		rc = settle_migrations(s, name);
		if (!rc)
			rc = domain_find(name, &domid);
		if (rc)
			return rc;
	}
	if (domid != NO_DOMAIN) {
		rc = monitor_adopt(domid, name);
		return rc ? rc : fn(s, name, domid);
	}
	host = find_elsewhere(s, name);
	rc = host ? remote_run(s, host) : FAILED;
	free(host);
	return rc;
}

/* Of a vbd, not a lock: it goes when the disk is unmapped and released. */
static int count_record(void *data, const char *file)
{
	if (!strchr(file, '.'))
		++*(size_t *)data;
	return DONE;
}

/*
 * Disks that this host still has for the domain: entries, or records if the
 * image cannot be looked at.
 */
static int count_ours(struct session *s, const char *name,
		      unsigned int domid, size_t *n_out)
{
	size_t i, records = 0;
	char prefix[32];
	const json_t *row;
	json_t *rows;
	int rc;

	rc = find_domains(s, name, &rows);
	if (rc)
		return rc;
	*n_out = 0;
	json_array_foreach(rows, i, row)
		if (is_this_host(text_of(row, "host")) &&
		    strcmp(text_of(row, "status"), "fenced") != 0 &&
		    number_of(row, "domid") == domid)
			*n_out += json_array_size(json_object_get(row,
								  "disks"));
	json_decref(rows);
	snprintf(prefix, sizeof(prefix), "vbd-%u-", domid);
	rc = run_files(prefix, count_record, &records);
	if (records > *n_out)
		*n_out = records;
	return rc;
}

/* The domain gone, its disks unmapped, its entries withdrawn. */
static int wait_released(struct session *s, const char *name,
			 unsigned int domid, int64_t end)
{
	size_t left = 0;
	int rc = DONE;

	while (domain_exists(domid)) {
		if (now_ms() >= end)
			return fail("%s: still there; `xlrbd destroy %s` ends it the hard way",
				    name, name);
		pause_a_moment();
	}
	do {
		rc = count_ours(s, name, domid, &left);
		if (rc || !left)
			return rc;
		pause_a_moment();
	} while (now_ms() < end);
	return fail("%s: gone, but %zu of its disks are not released; see `xlrbd locks`, then `xlrbd gc`",
		    name, left);
}

static int64_t end_of_wait(const struct session *s)
{
	return now_ms() + (s->wait_s ? s->wait_s : WAIT_S) * 1000LL;
}

/* libxl waits for a minute until the guest says that it has heard. */
static int ask(const char *name, unsigned int domid)
{
	if (domain_is_paused(domid))
		return fail("%s: is paused, so it cannot hear that it is to shut down; `xlrbd unpause %s` or `xlrbd destroy %s`",
			    name, name, name);
	return domain_act(DOMAIN_SHUTDOWN, domid, name);
}

int shut_down_and_wait(struct session *s, const char *name,
		       unsigned int domid)
{
	int rc = ask(name, domid);

	return rc ? rc : wait_released(s, name, domid, end_of_wait(s));
}

static int shut_down(struct session *s, const char *name, unsigned int domid)
{
	int rc = ask(name, domid);

	if (!rc && s->given & (OPT_WAIT | OPT_DESTROY_AFTER))
		rc = wait_released(s, name, domid, end_of_wait(s));
	if (!rc || !(s->given & OPT_DESTROY_AFTER) || !domain_exists(domid))
		return rc;
	rc = domain_act(DOMAIN_DESTROY, domid, name);
	return rc ? rc : wait_released(s, name, domid, end_of_wait(s));
}

static int destroy(struct session *s, const char *name, unsigned int domid)
{
	int rc = domain_act(DOMAIN_DESTROY, domid, name);

	return rc ? rc : wait_released(s, name, domid, end_of_wait(s));
}

static int reboot(struct session *s, const char *name, unsigned int domid)
{
	(void)s;
	return domain_act(DOMAIN_REBOOT, domid, name);
}

static int pause_it(struct session *s, const char *name, unsigned int domid)
{
	(void)s;
	return domain_act(DOMAIN_PAUSE, domid, name);
}

static int unpause(struct session *s, const char *name, unsigned int domid)
{
	(void)s;
	return domain_act(DOMAIN_UNPAUSE, domid, name);
}

int cmd_shutdown(struct session *s, int argc, char **argv)
{
	(void)argc;
	return where_it_is(s, argv[0], shut_down);
}

int cmd_destroy(struct session *s, int argc, char **argv)
{
	(void)argc;
	return where_it_is(s, argv[0], destroy);
}

int cmd_reboot(struct session *s, int argc, char **argv)
{
	(void)argc;
	return where_it_is(s, argv[0], reboot);
}

int cmd_pause(struct session *s, int argc, char **argv)
{
	(void)argc;
	return where_it_is(s, argv[0], pause_it);
}

int cmd_unpause(struct session *s, int argc, char **argv)
{
	(void)argc;
	return where_it_is(s, argv[0], unpause);
}
