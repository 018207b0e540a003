// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd migrate - move a domain to another host; see migrate.h
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migrate.h"

/* How long the destination may take to map disks and make a domain. */
#define READY_MS	(300 * 1000)
/* And to answer while the guest stands still, unless --timeout says. */
#define ANSWER_S	60
#define DRAIN_MS	10000

/* All that a move takes. */
struct move {
	struct session *s;
	const char *name, *host;
	unsigned int domid;
	struct channel ch;
	struct departure departure;
	struct sending sending;
	json_t *row;		/* what --json prints */
	int64_t begin_ms, sent_ms, restored_ms, go_ms;
};

/* On one line, in the place of the last one; NULL: of nothing. */
static void show(const struct move *m, const char *phase)
{
	if (m->sending.show)
		fprintf(stderr, "\r\033[K%s%s%s", phase ? m->name : "",
			phase ? ": " : "", phase ? phase : "");
}

static int64_t patience_ms(const struct move *m)
{
	return 1000LL * (m->s->wait_s ? m->s->wait_s : ANSWER_S);
}

static void set_number(struct move *m, const char *key, int64_t number)
{
	json_object_set_new(m->row, key, json_integer(number));
}

/* Its own reason, if it had one, explains more than our broken pipe. */
static void hear_why(struct move *m)
{
	json_t *message = channel_receive(&m->ch, 2000);

	if (*text_of(message, "error"))
		fail("%s: %s", m->host, text_of(message, "error"));
	json_decref(message);
}

/* Sends it all; when this returns the guest is suspended. */
static int copy(struct move *m)
{
	int fd = channel_begin_output(&m->ch), rc;

	if (fd < 0)
		return fail("out of memory");
	rc = domain_send(m->domid, fd, &m->sending);
	close(fd);
	if (rc)
		hear_why(m);
	set_number(m, "sent_kb", channel_end_stream(&m->ch) >> 10);
	m->sent_ms = now_ms();
	return rc;
}

/* The destination makes the domain, and here what is under way ends. */
static int wait_until_both_are_ready(struct move *m)
{
	unsigned int domid;
	char *away = NULL;
	int rc;

	if (xlrbd_drain(m->s->ctx, m->domid, DRAIN_MS) < 0)
		return fail_ctx(m->s);
	/* Nobody shall take it for one that can be told to run. */
	if (asprintf(&away, "%s" MIGRATED_AWAY, m->name) < 0)
		return fail("out of memory");
	rc = domain_rename(m->domid, away);
	free(away);
	if (!rc)
		rc = channel_expect(&m->ch, "restored", patience_ms(m),
				    &domid);
	m->restored_ms = now_ms();
	return rc;
}

/* Before "go": whatever it was, the guest goes on here. */
static int go_on_here(struct move *m)
{
	char *why = strdup(last_failure());
	/* Without "go" the other copy stays paused: no need to wait for it. */
	int rc = departure_take_back(&m->departure);

	channel_close(&m->ch);
	tell_failures();
	if (rc)
		fail("%s: not migrated: %s; and it cannot be resumed: %s; its next xlrbd command tries again",
		     m->name, why, last_failure());
	else
		fail("%s: not migrated: %s; it goes on here", m->name, why);
	if (!rc)
		departure_end(&m->departure);
	free(why);
	return FAILED;
}

/* After "go": only the destination knows. */
static int ask(struct move *m)
{
	char *why = strdup(last_failure());
	bool arrived = false;
	int rc;

	channel_close(&m->ch);
	tell_failures();
	fail("%s: %s; asking what has become of it", m->name, why);
	free(why);
	rc = departure_settle(m->s, &m->departure, &arrived);
	if (rc)
		return rc;
	departure_end(&m->departure);
	if (arrived)
		return DONE;
	return fail("%s: not migrated: %s was interrupted before it let it run; it goes on here",
		    m->name, m->host);
}

static void tell_numbers(struct move *m, unsigned int domid)
{
	int64_t now = now_ms();
	struct sending *sent = &m->sending;

	if (domid != NO_DOMAIN)
		set_number(m, "domid", domid);
	set_number(m, "total_ms", now - m->begin_ms);
	set_number(m, "downtime_ms", now - sent->suspended_ms);
	set_number(m, "last_copy_ms", m->sent_ms - sent->suspended_ms);
	set_number(m, "restore_ms", m->restored_ms - m->sent_ms);
	set_number(m, "start_ms", now - m->go_ms);
	set_number(m, "iterations", sent->iterations);
	if (sent->dirty_ms)
		set_number(m, "dirty_kb_per_s", sent->dirty_pages * 4 * 1000 /
						sent->dirty_ms);
}

/* With the disks ready over there. */
static int move_live(struct move *m)
{
	unsigned int domid;
	int rc;

	rc = copy(m);
	if (!rc)
		rc = wait_until_both_are_ready(m);
	if (!rc)
		rc = departure_is_told(&m->departure);
	if (rc)
		return go_on_here(m);
	m->go_ms = now_ms();
	if (!channel_send(&m->ch, json_pack("{s:s}", "state", "go")) ||
	    channel_expect(&m->ch, "running", patience_ms(m), &domid)) {
		rc = ask(m);
		if (!rc)
			tell_numbers(m, NO_DOMAIN);
		return rc;
	}
	tell_numbers(m, domid);
	tell_failures();
	show(m, "ending the copy here");
	rc = domain_act(DOMAIN_DESTROY, m->domid, m->name);
	if (rc)
		return fail("%s: runs on %s, but its old copy here could not be destroyed: `xl destroy %u`",
			    m->name, m->host, m->domid);
	departure_end(&m->departure);
	return DONE;
}

static int offer(struct move *m, const char *how, json_t *offer)
{
	unsigned int domid;

	show(m, "the disks, there");
	set_text(offer, "how", how);
	if (!channel_send(&m->ch, json_incref(offer)))
		return fail("the other end is gone");
	return channel_expect(&m->ch, "ready", READY_MS, &domid);
}

/* Domains cannot go to an older Xen (xen: docs/specs/libxl-migration-stream). */
static int check_xen(const json_t *theirs, const json_t *ours)
{
	int64_t a = number_of(theirs, "xen_major"),
		b = number_of(theirs, "xen_minor"),
		x = number_of(ours, "xen_major"),
		y = number_of(ours, "xen_minor");

	if (*text_of(theirs, "error"))
		return fail("%s: %s", text_of(theirs, "host"),
			    text_of(theirs, "error"));
	return a > x || (a == x && b >= y) ? DONE :
	       fail("Xen is %lld.%lld there, older than %lld.%lld here",
		    (long long)a, (long long)b, (long long)x, (long long)y);
}

static int refuse(struct move *m)
{
	bool stands = domain_is_paused(m->domid) ||
		      domain_is_suspended(m->domid);

	show(m, NULL);
	tell_failures();
	if (m->s->given & OPT_DRY_RUN)
		return fail("%s: %s would not take it: %s", m->name, m->host,
			    last_failure());
	return fail("%s: not migrated: %s%s", m->name, last_failure(),
		    stands ? "" : "; it goes on here");
}

static int move_with(struct move *m, const char *how)
{
	json_t *hello = NULL, *mine = json_object(), *domain = NULL;
	bool live = !strcmp(how, "live");
	int rc;

	keep_failures();
	show(m, "asking the other host");
	rc = domain_offer(m->s, m->domid, !(m->s->given & OPT_COLD), &domain);
	/* Of an earlier migration, by whatever name it is called. */
	if (!rc && domain_is_suspended(m->domid))
		rc = fail("is suspended; run `xlrbd gc`");
	if (!rc && domain_is_paused(m->domid))
		rc = fail("is paused; `xlrbd unpause %s` first", m->name);
	if (!rc)
		rc = channel_open(m->s, m->host, &m->ch, &hello);
	if (!rc)
		rc = host_describe(mine);
	if (!rc)
		rc = check_xen(hello, mine);
	if (!rc)
		rc = offer(m, how, domain);
	m->departure.uuid = text_of(domain, "uuid");
	m->departure.id = text_of(domain, "id");
	if (!rc && live)
		rc = departure_begin(&m->departure);
	if (rc)
		rc = refuse(m);
	else if (live)
		rc = move_live(m);
	else if (m->s->given & OPT_COLD && !(m->s->given & OPT_DRY_RUN))
		rc = migrate_cold(m->s, m->host, m->name, m->domid, domain,
				  m->row);
	tell_failures();
	channel_close(&m->ch);
	show(m, NULL);
	json_decref(domain);
	json_decref(mine);
	json_decref(hello);
	return rc;
}

static int print_result(struct move *m, bool moved)
{
	const json_t *row = m->row;

	if (m->s->json)
		return print_row(m->s, json_incref(m->row));
	if (!moved) {
		printf("%s: %s would take it\n", m->name, m->host);
		return DONE;
	}
	printf("%s: runs on %s", m->name, m->host);
	if (number_of(row, "domid"))
		printf(", as domain %lld", (long long)number_of(row, "domid"));
	printf(": ");
	if (number_of(row, "sent_kb"))
		printf("%lld MB in %.1f s, ",
		       (long long)number_of(row, "sent_kb") >> 10,
		       number_of(row, "total_ms") / 1000.0);
	printf("stood still for %lld ms\n", (long long)number_of(row, "downtime_ms"));
	return DONE;
}

static int migrate(struct session *s, const char *name, unsigned int domid)
{
	const char *host = s->to;
	struct move m = {
		.s = s, .name = name, .host = host, .domid = domid,
		.ch = { .in = -1, .out = -1 },
		.departure = { domid, name, "", host, "", -1 },
		.sending = { .name = name, .show = isatty(STDERR_FILENO) },
		.begin_ms = now_ms(),
	};
	/* --cold is tried before the domain is shut down. */
	const char *how = s->given & (OPT_DRY_RUN | OPT_COLD) ? "try" : "live";
	char here[65] = "";
	int rc;

	gethostname(here, sizeof(here) - 1);
	m.row = json_pack("{s:s s:s s:s}", "domain", name, "from", here, "to",
			  host);
	if (is_this_host(host)) {
		if (s->json)
			return print_row(s, m.row);
		json_decref(m.row);
		printf("%s: runs on %s already\n", name, host);
		return DONE;
	}
	/* Ctrl-C ends ssh, and libxl's helper; we put things right then. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	rc = move_with(&m, how);
	if (!rc)
		rc = print_result(&m, !(s->given & OPT_DRY_RUN));
	json_decref(m.row);
	return rc;
}

int cmd_migrate(struct session *s, int argc, char **argv)
{
	(void)argc;
	s->to = argv[1];
	return where_it_is(s, argv[0], migrate);
}
