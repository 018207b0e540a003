// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd shutdown, reboot, destroy, pause, unpause
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xlrbd.h"

/* Longer than a guest's own shutdown scripts may take. */
#define WAIT_S		300

/* Here, or a sentence about where it is. */
static int find_here(struct session *s, const char *name,
		     unsigned int *domid_out)
{
	json_t *rows;
	const char *host = "";
	int rc;

	rc = domain_find(name, domid_out);
	if (rc || *domid_out != NO_DOMAIN)
		return rc;
	rc = find_domains(s, name, &rows);
	if (rc)
		return rc;
	if (json_array_size(rows))
		host = text_of(json_array_get(rows, 0), "host");
	if (*host)
		rc = fail("%s: runs on %s, not here", name, host);
	else
		rc = fail("%s: runs nowhere", name);
	json_decref(rows);
	return rc;
}

/* Entries that this host still has for the domain. */
static int count_ours(struct session *s, const char *name,
		      unsigned int domid, size_t *n_out)
{
	const json_t *row;
	json_t *rows;
	size_t i;
	int rc;

	rc = find_domains(s, name, &rows);
	if (rc)
		return rc;
	*n_out = 0;
	json_array_foreach(rows, i, row)
		if (is_this_host(text_of(row, "host")) &&
		    json_integer_value(json_object_get(row, "domid")) == domid)
			*n_out += json_array_size(json_object_get(row,
								  "disks"));
	json_decref(rows);
	return DONE;
}

static void pause_a_moment(void)
{
	const struct timespec moment = { .tv_nsec = 250 * 1000000 };

	nanosleep(&moment, NULL);
}

static int64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* The domain gone, its disks unmapped, its entries withdrawn. */
static int wait_released(struct session *s, const char *name,
			 unsigned int domid, int64_t end)
{
	size_t left = 0;
	int rc = DONE;

	while (domain_exists(domid)) {
		if (now_s() >= end)
			return fail("%s: still there; `xlrbd destroy %s` ends it the hard way",
				    name, name);
		pause_a_moment();
	}
	do {
		rc = count_ours(s, name, domid, &left);
		if (rc || !left)
			return rc;
		pause_a_moment();
	} while (now_s() < end);
	return fail("%s: gone, but %zu of its disks are not released; see `xlrbd locks`, then `xlrbd gc`",
		    name, left);
}

static int64_t end_of_wait(const struct session *s)
{
	return now_s() + (s->wait_s ? s->wait_s : WAIT_S);
}

/* libxl waits for a minute until the guest says that it has heard. */
static int ask(const char *name, unsigned int domid)
{
	if (domain_is_paused(domid))
		return fail("%s: is paused, so it cannot hear that it is to shut down; `xlrbd unpause %s` or `xlrbd destroy %s`",
			    name, name, name);
	return domain_act(DOMAIN_SHUTDOWN, domid, name);
}

int cmd_shutdown(struct session *s, int argc, char **argv)
{
	unsigned int domid;
	int rc;

	(void)argc;
	rc = find_here(s, argv[0], &domid);
	if (!rc)
		rc = monitor_adopt(domid, argv[0]);
	if (rc)
		return rc;
	rc = ask(argv[0], domid);
	if (!rc && s->given & (OPT_WAIT | OPT_DESTROY_AFTER))
		rc = wait_released(s, argv[0], domid, end_of_wait(s));
	if (!rc || !(s->given & OPT_DESTROY_AFTER) || !domain_exists(domid))
		return rc;
	rc = domain_act(DOMAIN_DESTROY, domid, argv[0]);
	return rc ? rc : wait_released(s, argv[0], domid, end_of_wait(s));
}

int cmd_destroy(struct session *s, int argc, char **argv)
{
	unsigned int domid;
	int rc;

	(void)argc;
	rc = find_here(s, argv[0], &domid);
	if (!rc)
		rc = domain_act(DOMAIN_DESTROY, domid, argv[0]);
	return rc ? rc : wait_released(s, argv[0], domid, end_of_wait(s));
}

static int act(struct session *s, const char *name, enum domain_action action)
{
	unsigned int domid;
	int rc;

	rc = find_here(s, name, &domid);
	if (!rc)
		rc = monitor_adopt(domid, name);
	return rc ? rc : domain_act(action, domid, name);
}

int cmd_reboot(struct session *s, int argc, char **argv)
{
	(void)argc;
	return act(s, argv[0], DOMAIN_REBOOT);
}

int cmd_pause(struct session *s, int argc, char **argv)
{
	(void)argc;
	return act(s, argv[0], DOMAIN_PAUSE);
}

int cmd_unpause(struct session *s, int argc, char **argv)
{
	(void)argc;
	return act(s, argv[0], DOMAIN_UNPAUSE);
}
