// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd gc - clean up what this host has left behind
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xlrbd.h"

static const struct column columns[] = {
	{ "POOL", "pool" }, { "CLEANED UP", "cleaned" },
};

/* POOL[/NAMESPACE], or the default one if NULL. */
static void clean(struct session *s, const char *name, json_t *rows)
{
	struct xlrbd_spec pool = s->where;
	char *copy = name ? strdup(name) : NULL;
	json_t *row = json_object();
	int rc;

	if (copy) {
		pool.pool = strsep(&copy, "/");
		pool.ns = copy;
	}
	rc = xlrbd_gc(s->ctx, &pool);
	set_text(row, "pool", name ? name : pool.pool ? pool.pool : "rbd");
	if (rc < 0)
		set_text(row, "trouble", xlrbd_error(s->ctx));
	else
		json_object_set_new(row, "cleaned", json_integer(rc));
	json_array_append_new(rows, row);
	if (name)
		free(pool.pool);
}

int cmd_gc(struct session *s, int argc, char **argv)
{
	json_t *rows = json_array();
	int i;

	if (!argc)
		clean(s, NULL, rows);
	for (i = 0; i < argc; i++)
		clean(s, argv[i], rows);
	return print_rows(s, rows, columns, ARRAY_SIZE(columns));
}
