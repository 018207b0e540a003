// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd receive - the other end of xlrbd migrate; see migrate.h
 * xlrbd arrived - and what became of it
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migrate.h"

/* Until there is an offer, or "go"; the source says meanwhile that it lives. */
#define PATIENCE_MS	(3600 * 1000)
/* How long its monitor may wait at most; if it ends before, that shows then. */
#define SETTLE_MS	10000
/* What libxl's children have to say. */
#define LOG		"/var/log/xen/xlrbd-receive.log"
/* How long `arrived` waits for a receiver that is at work. */
#define RECEIVER_S	60

struct arrival {
	struct session *s;
	struct channel ch;
	json_t *offer;
	const char *name, *uuid, *id, *config, *how;
	struct xlrbd_arrival *disks;
	unsigned int domid;
};

/* What an earlier receiver left when it was killed never was told to run. */
static int drop_incoming(const char *uuid, const char *name)
{
	char *incoming, *now;
	unsigned int domid;
	int rc;

	rc = domain_find_uuid(uuid, &domid, &now);
	if (rc || domid == NO_DOMAIN)
		return rc;
	if (asprintf(&incoming, "%s" INCOMING, name) < 0)
		return fail("out of memory");
	/* Half made it may have no name yet. */
	if (!now || !strcmp(now, incoming))
		rc = domain_act(DOMAIN_DESTROY, domid, incoming);
	free(incoming);
	free(now);
	return rc;
}

/* One of the two would be taken for the other. */
static int check_uuid(const char *uuid)
{
	unsigned int domid;
	char *now;
	int rc;

	rc = domain_find_uuid(uuid, &domid, &now);
	if (!rc && domid != NO_DOMAIN)
		rc = fail("its UUID %s is that of domain %u, %s, there", uuid,
			  domid, now ? now : "(no name)");
	free(now);
	return rc;
}

static int prepare(struct arrival *a)
{
	const json_t *row, *disks = json_object_get(a->offer, "disks");
	struct xlrbd_disk disk;
	size_t i;

	json_array_foreach(disks, i, row) {
		disk = (struct xlrbd_disk){
			.target = text_of(row, "target"),
			.vdev = text_of(row, "vdev"),
			.devid = number_of(row, "devid"),
			.writable = json_is_true(json_object_get(row,
								 "writable")),
			.image = json_string_value(json_object_get(row,
								   "image")),
		};
		if (xlrbd_arrival_prepare(a->disks, &disk) < 0)
			return fail_ctx(a->s);
	}
	return DONE;
}

/*
 * "Of this migration it was never told to run": only with that note may the
 * copy at the source go on later.  What ran here, and is gone, has left none,
 * and a later migration of the domain has another id.
 */
static void untold_name(const char *uuid, char out[64])
{
	snprintf(out, 64, "untold-%s", uuid);
}

static int note_untold(const char *uuid, const char *id)
{
	json_t *json = json_pack("{s:s}", "id", id);
	char name[64];
	int fd, rc;

	untold_name(uuid, name);
	fd = run_file_take(name, true);
	rc = fd < 0 || ftruncate(fd, 0) < 0 ||
	     json_dumpfd(json, fd, JSON_COMPACT) < 0;
	json_decref(json);
	if (fd >= 0)
		close(fd);
	return rc ? fail(XLRBD_RUN_DIR "/%s: %m", name) : DONE;
}

static bool is_untold(const char *uuid, const char *id)
{
	char name[64];
	json_t *json;
	bool is;

	untold_name(uuid, name);
	json = run_file_read(name);
	is = *id && !strcmp(text_of(json, "id"), id);
	json_decref(json);
	return is;
}

static int forget_untold(const char *uuid)
{
	char name[64];
	int fd;

	untold_name(uuid, name);
	fd = run_file_take(name, false);
	if (fd < 0)
		return fail(XLRBD_RUN_DIR "/%s: %m", name);
	run_file_drop(fd);
	return DONE;
}

static bool say(struct arrival *a, const char *what)
{
	return channel_send(&a->ch, json_pack("{s:s s:i}", "state", what,
					      "domid", a->domid));
}

/* Waits for that word. */
static int hear(struct arrival *a, const char *what, int64_t patience_ms)
{
	json_t *message = channel_receive(&a->ch, patience_ms);
	bool heard = !strcmp(text_of(message, "state"), what);

	json_decref(message);
	return heard ? DONE : fail("%s: the source gave up", a->name);
}

/* From here on the domain is this host's, whatever happens to us. */
static int run_domain(struct arrival *a, int *monitor)
{
	int rc = forget_untold(a->uuid);

	if (!rc)
		rc = domain_rename(a->domid, a->name);
	if (!rc)
		rc = monitor_expect(a->domid, monitor);
	if (!rc)
		rc = domain_act(DOMAIN_UNPAUSE, a->domid, a->name);
	return rc;
}

/*
 * The guest has stood still long enough: a program that starts now takes the
 * processor from it while it connects to its disks.  The source has an old copy
 * to end, and then hangs up.
 */
static int stay(struct arrival *a, int monitor)
{
	json_decref(channel_receive(&a->ch, SETTLE_MS));
	close(monitor);
	return monitor_start(a->domid);
}

/* Copies it while it runs there. */
static int come_live(struct arrival *a)
{
	int fd = channel_begin_input(&a->ch), monitor = -1, rc;

	if (fd < 0)
		return fail("out of memory");
	rc = domain_receive(a->config, a->domid, fd);
	close(fd);
	/* Without its end the stream would not be. */
	if (rc)
		return rc;
	channel_end_stream(&a->ch);
	rc = say(a, "restored") ? hear(a, "go", PATIENCE_MS) : FAILED;
	if (!rc)
		rc = run_domain(a, &monitor);
	if (rc) {
		/* Whatever failed: it has not run. */
		if (domain_act(DOMAIN_DESTROY, a->domid, a->name))
			fail("%s: not destroyed: run `xl destroy %u`",
			     a->name, a->domid);
		else
			note_untold(a->uuid, a->id);
		monitor_forget(monitor);
		return rc;
	}
	if (!say(a, "running"))
		fail("%s: runs, but the source has not heard of it", a->name);
	return stay(a, monitor);
}

/* Starts it anew: it has ended there and its disks are free. */
static int come_cold(struct arrival *a)
{
	int rc = check_uuid(a->uuid);

	if (!rc)
		rc = domain_check_arrival(a->config);
	if (!rc)
		rc = domain_start(a->s, a->config, a->name, false, &a->domid);
	if (!rc && !say(a, "running"))
		fail("%s: runs, but the source has not heard of it", a->name);
	return rc;
}

static int come(struct arrival *a)
{
	bool live = !strcmp(a->how, "live");
	int rc;

	if (!strcmp(a->how, "start"))
		return come_cold(a);
	rc = domain_choose_domid(&a->domid);
	if (!rc && xlrbd_arrival_begin(a->s->ctx, a->name, a->uuid, a->domid,
				       &a->disks) < 0)
		rc = fail_ctx(a->s);
	if (!rc)
		rc = drop_incoming(a->uuid, a->name);
	if (!rc)
		rc = check_uuid(a->uuid);
	if (!rc)
		rc = domain_check_arrival(a->config);
	if (!rc)
		rc = prepare(a);
	if (!rc && !live) {
		/* That was to see whether it can be. */
		if (xlrbd_arrival_end(a->disks) < 0)
			rc = fail_ctx(a->s);
		a->disks = NULL;
	}
	if (!rc && live)
		rc = note_untold(a->uuid, a->id);
	if (!rc && !say(a, "ready"))
		rc = FAILED;
	if (!rc && live)
		rc = come_live(a);
	if (xlrbd_arrival_end(a->disks) < 0 && !rc)
		fail_ctx(a->s);
	return rc;
}

static json_t *hello(void)
{
	json_t *message = json_pack("{s:s s:i}", "xlrbd", PACKAGE_VERSION,
				    "protocol", PROTOCOL);
	char host[65] = "";

	gethostname(host, sizeof(host) - 1);
	set_text(message, "host", host);
	if (host_describe(message))
		set_text(message, "error", last_failure());
	return message;
}

/*
 * ssh ends when nobody has its pipes any more, and with it the source learns
 * that we were killed; libxl's children, hotplug scripts, may outlive us.
 */
static bool keep_pipes_from_children(struct channel *ch)
{
	int log = open(LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	int err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	FILE *file = err < 0 ? NULL : fdopen(err, "w");

	if (log < 0)
		log = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ch->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (!file || ch->out < 0 || dup2(log, STDOUT_FILENO) < 0 ||
	    dup2(log, STDERR_FILENO) < 0)
		return false;
	close(log);
	setvbuf(file, NULL, _IONBF, 0);
	/* What we and libxl itself have to say still arrives there. */
	stderr = file;
	return true;
}

int cmd_receive(struct session *s, int argc, char **argv)
{
	struct arrival a = { .s = s };
	int rc;

	(void)argc;
	(void)argv;
	/* Sentences go to whoever asked us, others' output to a log. */
	keep_failures();
	signal(SIGPIPE, SIG_IGN);
	if (!keep_pipes_from_children(&a.ch))
		return FAILED;
	if (!channel_send(&a.ch, hello()))
		return FAILED;
	a.offer = channel_receive(&a.ch, PATIENCE_MS);
	/* Somebody who only wanted to know who we are. */
	if (!a.offer)
		return DONE;
	a.name = text_of(a.offer, "name");
	a.uuid = text_of(a.offer, "uuid");
	a.id = text_of(a.offer, "id");
	a.config = text_of(a.offer, "config");
	a.how = text_of(a.offer, "how");
	rc = come(&a);
	if (rc && !channel_send(&a.ch, json_pack("{s:s}", "error",
						 last_failure())))
		rc = FAILED;
	json_decref(a.offer);
	return rc;
}

/* Waits for a receiver that lives; then nothing can change any more. */
static int wait_for_receiver(struct session *s, const char *name,
			     const char *uuid, struct xlrbd_arrival **lock_out)
{
	int64_t end = now_ms() + RECEIVER_S * 1000;
	int rc;

	while ((rc = xlrbd_arrival_begin(s->ctx, name, uuid, 0, lock_out)) ==
	       -EALREADY && now_ms() < end)
		pause_a_moment();
	return rc < 0 ? fail_ctx(s) : DONE;
}

int cmd_arrived(struct session *s, int argc, char **argv)
{
	const char *name = argv[0], *uuid = argv[1];
	struct xlrbd_arrival *lock;
	unsigned int domid = NO_DOMAIN;
	char *now = NULL;
	bool untold;
	int rc;

	(void)argc;
	rc = wait_for_receiver(s, name, uuid, &lock);
	if (rc)
		return rc;
	rc = drop_incoming(uuid, name);
	if (!rc)
		rc = domain_find_uuid(uuid, &domid, &now);
	/* It has its name since it was told to run. */
	if (!rc && domid != NO_DOMAIN && (!now || strcmp(now, name) != 0))
		rc = fail("%s: domain %u has its UUID, but is called %s", name,
			  domid, now ? now : "nothing");
	if (!rc && domid != NO_DOMAIN) {
		if (domain_is_paused(domid))
			rc = domain_act(DOMAIN_UNPAUSE, domid, name);
		if (!rc)
			rc = monitor_adopt(domid, name);
	}
	untold = domid == NO_DOMAIN && is_untold(uuid, argv[2]);
	free(now);
	if (xlrbd_arrival_end(lock) < 0 && !rc)
		rc = fail_ctx(s);
	if (rc)
		return rc;
	puts(domid != NO_DOMAIN ? "running" : untold ? "untold" : "ended");
	/* It is asked once; whoever has not heard it takes no risk. */
	if (!finish_output() && untold)
		rc = forget_untold(uuid);
	return rc;
}
