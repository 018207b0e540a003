// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What add did for a vbd, as JSON: see run.c for where it is kept.
 */
#include "config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static json_t *spec_to_json(const struct xlrbd_spec *spec)
{
	return json_pack("{s:s* s:s* s:s* s:i s:b}",
			 "id", spec->id, "conf", spec->conf,
			 "cluster", spec->cluster,
			 "timeout", (int)spec->timeout_s,
			 "ephemeral", spec->ephemeral);
}

static json_t *awaits_to_json(const struct xlrbd__record *record)
{
	return record->awaits ?
	       json_pack("{s:s s:s s:b}", "target", record->awaits,
			 "uuid", record->uuid, "writable", record->writable) :
	       NULL;
}

json_t *xlrbd__record_to_json(const struct xlrbd__record *record)
{
	const struct xlrbd__image *image = &record->image;
	const struct xlrbd__device *device = &record->device;
	const struct xlrbd__lock *lock = &record->lock;

	return json_pack("{s:{s:s s:I s:s s:s s:s s:s s:s} s:{s:i s:i s:i s:I s:s} s:{s:s s:s s:s s:s} s:o s:s* s:o*}",
			 "image",
			 "fsid", image->fsid,
			 "pool_id", (json_int_t)image->pool_id,
			 "pool", image->pool, "namespace", image->ns,
			 "name", image->name, "snapshot", image->snap,
			 "id", image->id,
			 "device",
			 "id", device->id, "major", (int)device->major,
			 "minor", (int)device->minor,
			 "since", (json_int_t)device->since,
			 "client_addr", device->client_addr,
			 "lock",
			 "name", lock->name, "client", lock->client,
			 "pending", lock->pending, "held", lock->held,
			 "connect", spec_to_json(&record->spec),
			 "line", record->line,
			 "awaits", awaits_to_json(record));
}

static bool get_string(json_t *object, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && (size_t)snprintf(out, size, "%s", text) < size;
}

static bool get_int(json_t *object, const char *key, int64_t *out)
{
	json_t *value = json_object_get(object, key);

	*out = json_integer_value(value);
	return json_is_integer(value);
}

#define GET(object, key, member) \
	get_string(object, key, member, sizeof(member))

static bool image_from_json(json_t *json, struct xlrbd__image *image)
{
	return GET(json, "fsid", image->fsid) &&
	       get_int(json, "pool_id", &image->pool_id) &&
	       GET(json, "pool", image->pool) &&
	       GET(json, "namespace", image->ns) &&
	       GET(json, "name", image->name) &&
	       GET(json, "snapshot", image->snap) &&
	       GET(json, "id", image->id);
}

static bool device_from_json(json_t *json, struct xlrbd__device *device)
{
	int64_t id, major, minor;

	if (!get_int(json, "id", &id) || !get_int(json, "major", &major) ||
	    !get_int(json, "minor", &minor) ||
	    !get_int(json, "since", &device->since))
		return false;
	device->id = (int)id;
	device->major = (unsigned int)major;
	device->minor = (unsigned int)minor;
	return GET(json, "client_addr", device->client_addr);
}

static bool lock_from_json(json_t *json, struct xlrbd__lock *lock)
{
	return GET(json, "name", lock->name) &&
	       GET(json, "client", lock->client) &&
	       GET(json, "pending", lock->pending) &&
	       GET(json, "held", lock->held);
}

/* Optional members; NULL means the default, as in the target. */
static bool spec_from_json(json_t *json, struct xlrbd_spec *spec)
{
	const struct {
		const char *key;
		char **member;
	} strings[] = {
		{ "id", &spec->id }, { "conf", &spec->conf },
		{ "cluster", &spec->cluster },
	};
	int64_t timeout;
	size_t i;

	for (i = 0; i < XLRBD__ARRAY_SIZE(strings); i++) {
		json_t *value = json_object_get(json, strings[i].key);

		if (!value)
			continue;
		*strings[i].member = strdup(json_string_value(value) ?: "");
		if (!*strings[i].member)
			return false;
	}
	if (!get_int(json, "timeout", &timeout))
		return false;
	spec->timeout_s = (unsigned int)timeout;
	spec->ephemeral = json_is_true(json_object_get(json, "ephemeral"));
	return true;
}

/* Only there in the record of a disk that was prepared. */
static bool awaits_from_json(json_t *json, struct xlrbd__record *record)
{
	if (!json)
		return true;
	record->awaits = strdup(json_string_value(json_object_get(json,
						  "target")) ?: "");
	record->writable = json_is_true(json_object_get(json, "writable"));
	return record->awaits && GET(json, "uuid", record->uuid);
}

bool xlrbd__record_from_json(const json_t *json, struct xlrbd__record *record)
{
	const char *line = json_string_value(json_object_get(json, "line"));

	record->line = line ? strdup(line) : NULL;
	if (image_from_json(json_object_get(json, "image"),
			    &record->image) &&
	    device_from_json(json_object_get(json, "device"),
			     &record->device) &&
	    lock_from_json(json_object_get(json, "lock"),
			   &record->lock) &&
	    spec_from_json(json_object_get(json, "connect"),
			   &record->spec) &&
	    awaits_from_json(json_object_get(json, "awaits"), record))
		return true;
	xlrbd__record_dispose(record);
	return false;
}

void xlrbd__record_dispose(struct xlrbd__record *record)
{
	xlrbd_spec_dispose(&record->spec);
	free(record->line);
	free(record->awaits);
	memset(record, 0, sizeof(*record));
}
