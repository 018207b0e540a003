// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One definition of a domain, as a struct and as text.
 */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define FORMAT		1

void xlrbd_definition_dispose(struct xlrbd_definition *definition)
{
	free(definition->name);
	free(definition->uuid);
	free(definition->macs);
	free(definition->config);
	free(definition->json);
	free(definition->host);
	memset(definition, 0, sizeof(*definition));
}

char *xlrbd__definition_encode(const struct xlrbd_definition *d)
{
	json_t *root;
	char *text;

	root = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}",
			 "format", FORMAT, "name", d->name, "uuid", d->uuid,
			 "macs", d->macs, "config", d->config, "json", d->json,
			 "host", d->host, "time", (json_int_t)d->time,
			 "version", (json_int_t)d->version);
	text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}

static int copy_out(struct xlrbd_definition *d, const char *const texts[6])
{
	char **const members[6] = {
		&d->name, &d->uuid, &d->macs, &d->config, &d->json, &d->host,
	};
	size_t i;

	for (i = 0; i < XLRBD__ARRAY_SIZE(members); i++) {
		*members[i] = strdup(texts[i]);
		if (!*members[i])
			return -ENOMEM;
	}
	return 0;
}

int xlrbd__definition_decode(const char *text, struct xlrbd_definition *d)
{
	json_t *root = json_loads(text, 0, NULL);
	json_int_t at = 0, version = 0;
	const char *texts[6];
	int rc = -EPROTO, format = 0;

	memset(d, 0, sizeof(*d));
	if (!json_unpack(root, "{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}",
			 "format", &format, "name", &texts[0], "uuid",
			 &texts[1], "macs", &texts[2], "config", &texts[3],
			 "json", &texts[4], "host", &texts[5], "time", &at,
			 "version", &version) && format == FORMAT) {
		d->time = at;
		d->version = version;
		rc = copy_out(d, texts);
	}
	json_decref(root);
	if (rc < 0)
		xlrbd_definition_dispose(d);
	return rc;
}
