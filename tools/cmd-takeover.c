// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd takeover - take a domain's disks from a host that is dead
 *
 * In two rounds: the first shows what fencing that host will cut off, and is
 * then asked about; the second does it.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xlrbd.h"

static const struct column columns[] = {
	{ "IMAGE", "image" }, { "DOMAIN", "domain" }, { "HOST", "host" },
	{ "SINCE", "since" }, { "CLIENT TO FENCE", "address" },
};

/* What one round takes. */
struct round {
	struct session *s;
	bool for_real;
	json_t *cut_off;	/* rows */
};

static bool note(void *data, const struct xlrbd_holder *cut_off, size_t n)
{
	struct round *round = data;
	size_t i;

	for (i = 0; i < n; i++)
		json_array_append_new(round->cut_off, holder_row(&cut_off[i]));
	return round->for_real;
}

static bool is_known(const json_t *rows, const json_t *wanted)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (!strcmp(text_of(row, "image"), text_of(wanted, "image")) &&
		    !strcmp(text_of(row, "address"),
			    text_of(wanted, "address")))
			return true;
	return false;
}

/* Each disk cuts off all that share its client. */
static json_t *without_repeats(const json_t *rows)
{
	json_t *once = json_array(), *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (!is_known(once, row))
			json_array_append(once, row);
	return once;
}

/* An image's name as a target, in which some characters mean something. */
static char *as_target(const char *image)
{
	char *target = malloc(3 * strlen(image) + 1), *p = target;

	if (!target)
		return NULL;
	for (; *image; image++) {
		if (strchr("%,:", *image))
			p += sprintf(p, "%%%02X", *image);
		else
			*p++ = *image;
	}
	*p = '\0';
	return target;
}

/* One image's trouble does not keep the others from being taken. */
static int take(struct round *round, const char *image)
{
	struct session *s = round->s;
	char *target = as_target(image);
	struct xlrbd_spec spec;
	int rc;

	if (!target)
		return fail("out of memory");
	rc = spec_of(s, target, &spec);
	free(target);
	if (!rc) {
		rc = xlrbd_takeover(s->ctx, &spec, note, round);
		rc = !rc || (rc == -ECANCELED && !round->for_real) ?
		     DONE : fail_ctx(s);
	}
	xlrbd_spec_dispose(&spec);
	return rc;
}

static int take_all(struct round *round, const json_t *rows)
{
	const json_t *row, *disk;
	const char *image;
	size_t i, j;
	int rc = DONE;

	json_array_foreach(rows, i, row)
		json_array_foreach(json_object_get(row, "disks"), j, disk) {
			image = text_of(disk, "image");
			if (take(round, image))
				rc = FAILED;
		}
	return rc;
}

static bool confirmed(struct session *s)
{
	char answer[8] = "";

	if (s->given & OPT_YES)
		return true;
	if (!isatty(STDIN_FILENO)) {
		fail("nothing done: say --yes, or run it from a terminal");
		return false;
	}
	fprintf(stderr, "fence and take over? [y/N] ");
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	return answer[0] == 'y' || answer[0] == 'Y';
}

/*
 * Each of @domains, an array of its rows, that can be taken as a whole; the
 * others become empty.  What will be cut off goes to @cut_off.
 */
static int look(struct session *s, json_t *domains, json_t *cut_off)
{
	json_t *rows;
	size_t i;
	int rc = DONE;

	json_array_foreach(domains, i, rows) {
		struct round round = { s, false, json_array() };

		if (take_all(&round, rows)) {
			json_array_clear(rows);
			rc = FAILED;
		} else {
			json_array_extend(cut_off, round.cut_off);
		}
		json_decref(round.cut_off);
	}
	return rc;
}

static int take_for_real(struct session *s, const json_t *domains)
{
	struct round round = { s, true, json_array() };
	const json_t *rows;
	size_t i;
	int rc = DONE;

	json_array_foreach(domains, i, rows)
		if (take_all(&round, rows))
			rc = FAILED;
	json_decref(round.cut_off);
	return rc;
}

/* Adds its rows to @domains, or what keeps us from seeing any to @trouble. */
static int add_domain(struct session *s, const char *name, json_t *domains,
		      json_t *trouble)
{
	json_t *rows;
	int rc;

	if (find_domains(s, name, &rows))
		return FAILED;
	if (has_domain(rows)) {
		json_array_append_new(domains, rows);
		return DONE;
	}
	rc = fail("%s: no host holds a disk for it%s", name,
		  json_array_size(rows) ? "" : "; it can be started");
	json_array_extend(trouble, rows);
	json_decref(rows);
	return rc;
}

/* Shows the rows of what is to be cut off, and of trouble. */
static int show(struct session *s, const json_t *rows)
{
	int rc = print_rows(s, without_repeats(rows), columns,
			    ARRAY_SIZE(columns));

	fflush(stdout);
	return rc;
}

int cmd_takeover(struct session *s, int argc, char **argv)
{
	json_t *domains = json_array(), *rows = json_array();
	int i, rc = DONE;
	size_t trouble;

	for (i = 0; i < argc; i++)
		if (add_domain(s, argv[i], domains, rows))
			rc = FAILED;
	trouble = json_array_size(rows);
	if (look(s, domains, rows))
		rc = FAILED;
	if (show(s, rows))
		rc = FAILED;
	if (json_array_size(rows) > trouble && !(s->given & OPT_DRY_RUN) &&
	    (!confirmed(s) || take_for_real(s, domains)))
		rc = FAILED;
	json_decref(domains);
	json_decref(rows);
	return rc;
}
