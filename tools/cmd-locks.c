// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd locks, xlrbd unlock - the entries in the locks of images
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "xlrbd.h"

static const struct column columns[] = {
	{ "IMAGE", "image" }, { "MODE", "mode" }, { "STATE", "state" },
	{ "LIFE", "life" }, { "DOMAIN", "domain" }, { "HOST", "host" },
	{ "SINCE", "since" }, { "ADDRESS", "address" }, { "ENTRY", "entry" },
};

static int add_row(void *data, const struct xlrbd_holder *holder)
{
	json_array_append_new(data, holder_row(holder));
	return 0;
}

static int add_image(struct session *s, const char *target, json_t *rows)
{
	struct xlrbd_spec spec;
	int rc = spec_of(s, target, &spec);

	if (!rc && xlrbd_holders(s->ctx, &spec, add_row, rows) < 0) {
		const struct xlrbd_holder trouble = {
			.image = target, .trouble = xlrbd_error(s->ctx),
		};

		add_row(rows, &trouble);
	}
	xlrbd_spec_dispose(&spec);
	return rc;
}

int cmd_locks(struct session *s, int argc, char **argv)
{
	struct xlrbd_spec everywhere = s->where;
	json_t *rows = json_array();
	int i, rc = DONE;

	everywhere.pool = everywhere.ns = NULL;
	if (!argc && xlrbd_holders(s->ctx, &everywhere, add_row, rows) < 0)
		rc = fail_ctx(s);
	/* One that is not understood does not hide the others. */
	for (i = 0; i < argc; i++)
		if (add_image(s, argv[i], rows))
			rc = FAILED;
	if (!rc || json_array_size(rows))
		rc |= print_rows(s, rows, columns, ARRAY_SIZE(columns));
	else
		json_decref(rows);
	return rc;
}

int cmd_unlock(struct session *s, int argc, char **argv)
{
	struct xlrbd_spec spec;
	int rc;

	(void)argc;
	rc = spec_of(s, argv[0], &spec);
	if (!rc && xlrbd_unlock(s->ctx, &spec, argv[1]) < 0)
		rc = fail_ctx(s);
	xlrbd_spec_dispose(&spec);
	return rc;
}
