// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd list, xlrbd where - which domains run, and on which host
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "xlrbd.h"

static const struct column columns[] = {
	{ "DOMAIN", "domain" }, { "HOST", "host" }, { "STATUS", "status" },
	{ "DISKS", "disks" }, { "SINCE", "since" },
};

static const struct column defined_columns[] = {
	{ "DOMAIN", "domain" }, { "VERSION", "version" },
	{ "STORED", "stored" }, { "BY", "by" }, { "UUID", "uuid" },
};

/* Only what this host has; trouble stays. */
static void keep_ours(json_t *rows)
{
	const char *host;
	size_t i;

	for (i = json_array_size(rows); i-- > 0;) {
		host = text_of(json_array_get(rows, i), "host");
		if (*host && !is_this_host(host))
			json_array_remove(rows, i);
	}
}

static int add_definition(void *data,
			  const struct xlrbd_definition *definition)
{
	json_t *row = json_object();

	set_text(row, "domain", definition->name);
	set_text(row, "uuid", definition->uuid);
	json_object_set_new(row, "version", json_integer(definition->version));
	json_object_set_new(row, "stored", time_value(definition->time));
	set_text(row, "by", definition->host);
	json_array_append_new(data, row);
	return 0;
}

static int list_defined(struct session *s)
{
	json_t *rows = json_array();

	if (xlrbd_definitions(s->ctx, &s->where, add_definition, rows) < 0) {
		json_decref(rows);
		return fail_ctx(s);
	}
	return print_rows(s, rows, defined_columns,
			  ARRAY_SIZE(defined_columns));
}

int cmd_list(struct session *s, int argc, char **argv)
{
	json_t *rows;

	(void)argc;
	(void)argv;
	if (s->given & OPT_DEFINED)
		return list_defined(s);
	if (find_domains(s, NULL, &rows))
		return FAILED;
	if (!(s->given & OPT_CLUSTER_WIDE))
		keep_ours(rows);
	return print_rows(s, rows, columns, ARRAY_SIZE(columns));
}

int cmd_where(struct session *s, int argc, char **argv)
{
	bool found;
	json_t *rows;
	int rc;

	(void)argc;
	if (find_domains(s, argv[0], &rows))
		return FAILED;
	found = has_domain(rows);
	if (!found && !s->json)
		fail("%s: no host holds a disk for it", argv[0]);
	if (!found && !s->json && !json_array_size(rows)) {
		json_decref(rows);
		return FAILED;
	}
	rc = print_rows(s, rows, columns, ARRAY_SIZE(columns));
	return found ? rc : FAILED;
}
