// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the monitors answer: JSON to facts.
 */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

static const char *address_of(json_t *mon, const char *type)
{
	json_t *vec, *entry;
	size_t i;

	vec = json_object_get(json_object_get(mon, "public_addrs"), "addrvec");
	json_array_foreach(vec, i, entry) {
		const char *t = json_string_value(json_object_get(entry,
								  "type"));
		if (t && !strcmp(t, type))
			return json_string_value(json_object_get(entry,
								 "addr"));
	}
	return NULL;
}

char *xlrbd__mon_addresses(const char *mon_dump, const char *type)
{
	json_t *root = json_loads(mon_dump, 0, NULL);
	char *joined = NULL;
	json_t *mon;
	size_t i;

	json_array_foreach(json_object_get(root, "mons"), i, mon) {
		const char *address = address_of(mon, type);
		char *longer;

		if (!address)
			continue;
		if (asprintf(&longer, "%s%s%s", joined ? joined : "",
			     joined ? "," : "", address) < 0)
			break;
		free(joined);
		joined = longer;
	}
	json_decref(root);
	return joined;
}

bool xlrbd__mon_pool_is_full(const char *pool_details, int64_t pool_id)
{
	json_t *root = json_loads(pool_details, 0, NULL);
	bool full = false;
	json_t *pool;
	size_t i;

	json_array_foreach(root, i, pool) {
		json_t *id = json_object_get(pool, "pool_id");
		const char *flags;
		char *copy, *rest, *flag;

		if (json_integer_value(id) != pool_id)
			continue;
		flags = json_string_value(json_object_get(pool,
							  "flags_names"));
		copy = rest = strdup(flags ? flags : "");
		/* "full_quota" comes with "full" (ceph: pg_pool_t). */
		while (rest && (flag = strsep(&rest, ",")))
			full = full || !strcmp(flag, "full");
		free(copy);
	}
	json_decref(root);
	return full;
}

/* "2026-11-21T10:22:33.123456+0100", or "...Z" */
static int64_t parse_time(const char *text)
{
	int hours = 0, minutes = 0;
	struct tm tm;
	char *end;
	int64_t t;

	memset(&tm, 0, sizeof(tm));
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!end)
		return 0;
	t = timegm(&tm);
	end += strcspn(end, "+-Z");
	if (sscanf(end, "%*1[+-]%2d%2d", &hours, &minutes) == 2)
		t -= (*end == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return t;
}

int64_t xlrbd__mon_blocklisted_until(const char *blocklist, const char *addr)
{
	/* Two arrays, one after the other: the second is of address ranges. */
	json_t *root = json_loads(blocklist, JSON_DISABLE_EOF_CHECK, NULL);
	int64_t until = 0;
	json_t *entry;
	size_t i;

	json_array_foreach(root, i, entry) {
		json_t *listed = json_object_get(entry, "addr");
		json_t *time = json_object_get(entry, "until");

		if (json_is_string(listed) && json_is_string(time) &&
		    !strcmp(json_string_value(listed), addr))
			until = parse_time(json_string_value(time));
	}
	json_decref(root);
	return until;
}
