// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd gc - clean up what this host has left behind
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate.h"

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

/*
 * A copy that was never told to run, and whose receiver is dead.  One that was
 * told has another name.
 */
static int drop_half_received(void *data, unsigned int domid, const char *uuid)
{
	char *name = domain_name(domid, uuid);
	int *rc = data;

	if (name && is_incoming(name)) {
		fail("%s: its migration to this host was interrupted; destroying it",
		     name);
		if (domain_act(DOMAIN_DESTROY, domid, name))
			*rc = FAILED;
	}
	free(name);
	return 0;
}

static int clean_interrupted(struct session *s)
{
	int rc = settle_migrations(s, NULL);

	if (settle_creations(NULL))
		rc = FAILED;
	if (xlrbd_arrivals_lost(s->ctx, drop_half_received, &rc) < 0)
		rc = fail_ctx(s);
	return rc;
}

int cmd_gc(struct session *s, int argc, char **argv)
{
	json_t *rows = json_array();
	/* On a machine without Xen there is nothing of that. */
	int i, rc = xen_is_here() ? clean_interrupted(s) : DONE, r;

	if (!argc)
		clean(s, NULL, rows);
	for (i = 0; i < argc; i++)
		clean(s, argv[i], rows);
	r = print_rows(s, rows, columns, ARRAY_SIZE(columns));
	return rc ? rc : r;
}
