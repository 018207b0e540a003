// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd evacuate - move all domains of this host to other hosts
 *
 * Each is moved by a child, `xlrbd migrate`: what goes wrong with one stops no
 * other, and whoever kills this process leaves nothing behind that migrate
 * would not put right.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migrate.h"

/* One copies while the other one's disks are attached. */
#define JOBS		2

static const struct column columns[] = {
	{ "DOMAIN", "domain" }, { "TO", "to" }, { "RESULT", "result" },
};

struct move {
	json_t *row;		/* what is told of it in the end */
	int64_t memory_kb;
};

struct evacuation {
	struct session *s;
	const json_t *domains;	/* as they were at the beginning */
	json_t *rows;		/* one for each, in the same order */
	struct move *moves;	/* of those that can be moved */
	size_t n;
	json_t *hosts;		/* of find_places() */
	const char *options[11];	/* of ours, for migrate; with values */
	char *pool;
	char timeout[16];
	pthread_mutex_t lock;	/* of next, done, and the hosts' free_kb */
	size_t next, done;
};

static json_t *add_row(struct evacuation *e, const json_t *domain)
{
	json_t *row = json_object();

	set_text(row, "domain", text_of(domain, "domain"));
	json_array_append_new(e->rows, row);
	return row;
}

static void stays(json_t *row, const char *why)
{
	set_text(row, "result", "not moved");
	set_text(row, "detail", why);
	fail("%s: not moved: %s", text_of(row, "domain"), why);
}

static bool is_migrated_away(const char *name)
{
	const char *suffix = strstr(name, MIGRATED_AWAY);

	return suffix && !strcmp(suffix, MIGRATED_AWAY);
}

/* What is small finds a place when the large ones have theirs. */
static int by_memory(const void *a, const void *b)
{
	const struct move *x = a, *y = b;

	return (x->memory_kb < y->memory_kb) - (x->memory_kb > y->memory_kb);
}

static int plan(struct evacuation *e)
{
	const json_t *domain;
	json_t *row;
	size_t i;

	e->moves = calloc(json_array_size(e->domains) + 1, sizeof(*e->moves));
	if (!e->moves)
		return fail("out of memory");
	json_array_foreach(e->domains, i, domain) {
		row = add_row(e, domain);
		if (json_is_true(json_object_get(domain, "incoming")))
			stays(row, "it is just arriving here; run this again when it has, or `xlrbd gc` if that was interrupted");
		else if (is_migrated_away(text_of(domain, "domain")))
			stays(row, "another host has taken it, or was about to; see INTERRUPTED MIGRATIONS in xlrbd(8)");
		else
			e->moves[e->n++] = (struct move){
				row, number_of(domain, "memory_kb")
			};
	}
	qsort(e->moves, e->n, sizeof(*e->moves), by_memory);
	return DONE;
}

static void add_option(struct evacuation *e, const char *name,
		       const char *value)
{
	size_t n = 0;

	if (!value)
		return;
	while (e->options[n])
		n++;
	e->options[n] = name;
	e->options[n + 1] = value;
}

static int pass_options_on(struct evacuation *e)
{
	const struct session *s = e->s;
	const struct xlrbd_spec *where = &s->where;

	if (where->pool && where->ns &&
	    asprintf(&e->pool, "%s/%s", where->pool, where->ns) < 0) {
		e->pool = NULL;
		return fail("out of memory");
	}
	snprintf(e->timeout, sizeof(e->timeout), "%u", s->wait_s);
	add_option(e, "--pool", e->pool ? e->pool : where->pool);
	add_option(e, "--id", where->id);
	add_option(e, "--conf", where->conf);
	add_option(e, "--ceph-cluster", where->cluster);
	add_option(e, "--timeout", s->wait_s ? e->timeout : NULL);
	return DONE;
}

/* Why not there. */
static void note(json_t *row, const char *host, const char *why)
{
	const char *before = text_of(row, "detail");
	char *detail;

	if (asprintf(&detail, "%s%s%s: %s", before, *before ? "; " : "", host,
		     why) < 0)
		return;
	set_text(row, "detail", detail);
	free(detail);
}

/* The same, where nobody else has said so. */
static void refuse(json_t *row, const char *host, const char *why)
{
	note(row, host, why);
	fail("%s: not moved: %s: %s", text_of(row, "domain"), host, why);
}

/* The last sentence of what a child for @name said, as part of another one. */
static const char *last_sentence(char *said, const char *name)
{
	const char *last = said;
	size_t length = strlen(name);
	char *p, *rest;

	for (p = strtok_r(said, "\n", &rest); p;
	     p = strtok_r(NULL, "\n", &rest))
		last = p;
	if (!strncmp(last, "xlrbd: ", 7))
		last += 7;
	if (!strncmp(last, name, length) && !strncmp(last + length, ": ", 2))
		last += length + 2;
	return last;
}

static void take_times(json_t *row, const char *said)
{
	json_t *all = json_loads(said, 0, NULL);
	const json_t *moved = json_array_get(all, 0);

	json_object_set(row, "downtime_ms",
			json_object_get(moved, "downtime_ms"));
	json_object_set(row, "total_ms", json_object_get(moved, "total_ms"));
	json_decref(all);
}

static bool migrate(struct evacuation *e, json_t *row, const char *host)
{
	const char *argv[ARRAY_SIZE(e->options) + 8] = {
		"/proc/self/exe", "migrate", "--here", "--json"
	};
	const char *name = text_of(row, "domain");
	size_t i, n = 4;
	char *out, *err;
	int status;

	for (i = 0; e->options[i]; i++)
		argv[n++] = e->options[i];
	if (e->s->given & OPT_DRY_RUN)
		argv[n++] = "--dry-run";
	argv[n++] = "--";
	argv[n++] = name;
	argv[n] = host;
	/* It has deadlines of its own. */
	status = program_output_both(argv, &out, &err);
	if (err)
		fputs(err, stderr);
	if (!status)
		take_times(row, out);
	else if (err && *err)
		note(row, host, last_sentence(err, name));
	else
		refuse(row, host, "`xlrbd migrate` was killed");
	free(err);
	free(out);
	return !status;
}

/*
 * The best of those not tried; booked.  In a dry run nothing fills up, so our
 * books have the last word; else the host has it.
 */
static json_t *next_host(struct evacuation *e, const struct move *move,
			 bool *tried)
{
	int best = roomiest_place(e->hosts, tried);
	json_t *host = best < 0 ? NULL : json_array_get(e->hosts, best);
	int64_t left_kb = number_of(host, "free_kb");
	char why[96];

	if (!host)
		return NULL;
	if (e->s->given & OPT_DRY_RUN && left_kb < move->memory_kb) {
		snprintf(why, sizeof(why),
			 "would have %lld MB of memory left, and it needs %lld MB",
			 (long long)left_kb >> 10,
			 (long long)move->memory_kb >> 10);
		refuse(move->row, text_of(host, "name"), why);
		return NULL;
	}
	tried[best] = true;
	book_memory(host, move->memory_kb);
	return host;
}

static bool find_place(struct evacuation *e, const struct move *move)
{
	bool *tried = calloc(json_array_size(e->hosts) + 1, sizeof(*tried));
	bool moved = false;
	json_t *host = NULL;

	while (tried && !moved) {
		pthread_mutex_lock(&e->lock);
		if (host)
			book_memory(host, -move->memory_kb);
		host = next_host(e, move, tried);
		pthread_mutex_unlock(&e->lock);
		if (!host)
			break;
		moved = migrate(e, move->row, text_of(host, "name"));
	}
	if (moved)
		set_text(move->row, "to", text_of(host, "name"));
	free(tried);
	return moved;
}

static void *work(void *data)
{
	struct evacuation *e = data;
	struct move *move;
	bool moved;

	pthread_mutex_lock(&e->lock);
	while (e->next < e->n) {
		move = &e->moves[e->next++];
		pthread_mutex_unlock(&e->lock);
		moved = find_place(e, move);
		set_text(move->row, "result", !moved ? "not moved" :
			 e->s->given & OPT_DRY_RUN ? "would move" : "moved");
		pthread_mutex_lock(&e->lock);
		e->done++;
		/* The table is minutes away. */
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "%s: %s%s%s (%zu of %zu)\n",
				text_of(move->row, "domain"),
				text_of(move->row, "result"),
				moved ? " to " : "", text_of(move->row, "to"),
				e->done, e->n);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

static int move_all(struct evacuation *e)
{
	size_t i, n = 0, jobs = e->s->jobs ? e->s->jobs : JOBS;
	pthread_t *helpers = calloc(jobs, sizeof(*helpers));

	if (!helpers)
		return fail("out of memory");
	/* A helper that cannot start leaves its work to the others. */
	while (n + 1 < jobs && n + 1 < e->n &&
	       !pthread_create(&helpers[n], NULL, work, e))
		n++;
	work(e);
	for (i = 0; i < n; i++)
		pthread_join(helpers[i], NULL);
	free(helpers);
	return DONE;
}

/* The same one, also if it was renamed or rebooted meanwhile. */
static bool have(const json_t *domains, const json_t *wanted)
{
	const json_t *domain;
	size_t i;

	json_array_foreach(domains, i, domain)
		if (number_of(domain, "domid") == number_of(wanted, "domid") ||
		    !strcmp(text_of(domain, "domain"),
			    text_of(wanted, "domain")))
			return true;
	return false;
}

/* Whoever goes by the exit code turns this host off next. */
static int check_empty(struct evacuation *e)
{
	const json_t *domain;
	json_t *left, *row;
	size_t i;
	int rc;

	if (domain_list(&left))
		return FAILED;
	json_array_foreach(e->domains, i, domain) {
		row = json_array_get(e->rows, i);
		if (!strcmp(text_of(row, "result"), "not moved") &&
		    !have(left, domain))
			set_text(row, "result", "gone");
	}
	json_array_foreach(left, i, domain)
		if (!have(e->domains, domain))
			stays(add_row(e, domain),
			      "it was started meanwhile; run this again");
	rc = json_array_size(left) ? FAILED : DONE;
	json_decref(left);
	return rc;
}

static int evacuate(struct evacuation *e, int argc, char **argv)
{
	const json_t *row;
	size_t i;
	int rc;

	rc = plan(e);
	if (!rc)
		rc = pass_options_on(e);
	if (!rc && e->n)
		rc = find_places(e->s, argc, argv, &e->hosts);
	if (!rc)
		rc = move_all(e);
	if (rc)
		return rc;
	if (!(e->s->given & OPT_DRY_RUN))
		rc = check_empty(e);
	else
		json_array_foreach(e->rows, i, row)
			if (strcmp(text_of(row, "result"), "would move") != 0)
				rc = FAILED;
	return print_rows(e->s, json_incref(e->rows), columns,
			  ARRAY_SIZE(columns)) ? FAILED : rc;
}

int cmd_evacuate(struct session *s, int argc, char **argv)
{
	struct evacuation e = { .s = s, .lock = PTHREAD_MUTEX_INITIALIZER };
	json_t *domains;
	int rc, r;

	/* What could not be put right is among the domains that stay. */
	r = settle_migrations(s, NULL);
	if (domain_list(&domains))
		return FAILED;
	e.domains = domains;
	e.rows = json_array();
	rc = evacuate(&e, argc, argv);
	json_decref(e.hosts);
	json_decref(e.rows);
	json_decref(domains);
	free(e.moves);
	free(e.pool);
	return rc ? rc : r;
}
