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
	json_t *cut_off;	/* rows; each image once */
};

static bool is_known(const json_t *rows, const char *image,
		     const char *address)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (!strcmp(text_of(row, "image"), image) &&
		    !strcmp(text_of(row, "address"), address))
			return true;
	return false;
}

static bool note(void *data, const struct xlrbd_holder *cut_off, size_t n)
{
	struct round *round = data;
	size_t i;

	for (i = 0; i < n; i++)
		if (!is_known(round->cut_off, cut_off[i].image,
			      cut_off[i].address))
			json_array_append_new(round->cut_off,
					      holder_row(&cut_off[i]));
	return round->for_real;
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

static int takeover(struct session *s, const json_t *rows)
{
	struct round round = { s, false, json_array() };
	bool any;
	int rc;

	rc = take_all(&round, rows);
	any = json_array_size(round.cut_off) > 0;
	if (any && print_rows(s, json_incref(round.cut_off), columns,
			      ARRAY_SIZE(columns)))
		rc = FAILED;
	if (!rc && any && !(s->given & OPT_DRY_RUN)) {
		fflush(stdout);
		round.for_real = true;
		rc = confirmed(s) ? take_all(&round, rows) : FAILED;
	}
	json_decref(round.cut_off);
	return rc;
}

int cmd_takeover(struct session *s, int argc, char **argv)
{
	json_t *rows;
	int rc;

	(void)argc;
	if (find_domains(s, argv[0], &rows))
		return FAILED;
	if (has_domain(rows)) {
		rc = takeover(s, rows);
		json_decref(rows);
		return rc;
	}
	rc = fail("%s: no host holds a disk for it%s", argv[0],
		  json_array_size(rows) ? "" : "; it can be started");
	/* Or one does, where we could not look. */
	return print_rows(s, rows, columns, ARRAY_SIZE(columns)) ? FAILED : rc;
}
