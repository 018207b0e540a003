// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd.conf: what holds for all disks of this host, or all of a pool, unless
 * their targets say otherwise.
 *
 *	pool = ssd
 *	id = xen
 *	[pool golden]
 *	id = reader
 *	[hosts]
 *	xen2 = 10.0.0.2
 */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define POOL_SECTION "pool "
#define HOSTS_SECTION "hosts"

/* One reading of the file. */
struct reading {
	struct xlrbd_ctx *ctx;
	FILE *file;
	int line;
	const char *pool;	/* whose section counts; NULL: look for pool= */
	char *default_pool;
	/* Of [hosts], if they are looked for. */
	xlrbd_host_fn *host_fn;
	void *data;
	struct xlrbd_spec of_pool, of_all;
	int rc;
};

static char *read_line(char *text, int size, void *data)
{
	struct reading *reading = data;

	reading->line++;
	return fgets(text, size, reading->file);
}

static int bad(struct reading *reading, const char *why, const char *text)
{
	reading->rc = xlrbd__fail(reading->ctx, -EINVAL, "%s:%d: %s: \"%s\"",
				  XLRBD_CONF, reading->line, why, text);
	return 0;
}

static int set_pool(struct reading *reading, const char *value)
{
	if (!*value || !xlrbd__name_is_usable(value))
		return bad(reading, "pool= takes a pool's name", value);
	free(reading->default_pool);
	reading->default_pool = strdup(value);
	return reading->default_pool != NULL;
}

static int take_host(struct reading *reading, const char *name,
		     const char *value)
{
	if (!reading->host_fn)
		return 1;
	/* For ssh, which would take it for an option. */
	if (!*value || *value == '-')
		return bad(reading, "a host's address", value);
	reading->host_fn(reading->data, name, value);
	return 1;
}

/* For inih: 0 is a failure. */
static int take(void *data, const char *section, const char *name,
		const char *value)
{
	struct reading *reading = data;
	struct xlrbd_spec *spec = &reading->of_all;
	char where[300], text[600];

	if (reading->rc < 0)
		return 0;
	if (!strcmp(section, HOSTS_SECTION))
		return take_host(reading, name, value);
	if (*section && strncmp(section, POOL_SECTION,
				sizeof(POOL_SECTION) - 1) != 0)
		return bad(reading, "section other than [pool NAME] and [hosts]", section);
	if (!*section && !strcmp(name, "pool"))
		return reading->pool ? 1 : set_pool(reading, value);
	if (!reading->pool)
		return 1;
	if (*section) {
		if (strcmp(section + sizeof(POOL_SECTION) - 1,
			   reading->pool) != 0)
			return 1;
		spec = &reading->of_pool;
	}
	snprintf(where, sizeof(where), "%s:%d", XLRBD_CONF, reading->line);
	if (snprintf(text, sizeof(text), "%s=%s", name, value) >=
	    (int)sizeof(text))
		return bad(reading, "too long", name);
	reading->rc = xlrbd__option_take_default(reading->ctx, where, text,
						 spec);
	return !reading->rc;
}

static int read_once(struct reading *reading)
{
	int line;

	reading->file = fopen(XLRBD_CONF, "re");
	if (!reading->file && errno == ENOENT)
		return 0;
	if (!reading->file)
		return xlrbd__fail(reading->ctx, -errno, "read " XLRBD_CONF
				   ": %s", strerror(errno));
	reading->line = 0;
	line = ini_parse_stream(read_line, reading, take, reading);
	fclose(reading->file);
	if (line && !reading->rc)
		return xlrbd__fail(reading->ctx, -EINVAL,
				   "%s:%d: not of the form NAME = VALUE, or too long",
				   XLRBD_CONF, line);
	return reading->rc;
}

/* What neither the target nor a more special section says. */
static void inherit(struct xlrbd_spec *spec, struct xlrbd_spec *from)
{
	char **const members[][2] = {
		{ &spec->id, &from->id },
		{ &spec->map_options, &from->map_options },
	};
	size_t i;

	for (i = 0; i < XLRBD__ARRAY_SIZE(members); i++) {
		if (*members[i][0])
			continue;
		*members[i][0] = *members[i][1];
		*members[i][1] = NULL;
	}
	/* These two are one: which cluster. */
	if (!spec->conf && !spec->cluster) {
		spec->conf = from->conf;
		spec->cluster = from->cluster;
		from->conf = from->cluster = NULL;
	}
	if (!spec->timeout_s)
		spec->timeout_s = from->timeout_s;
}

int xlrbd_spec_set_defaults(struct xlrbd_ctx *ctx, struct xlrbd_spec *spec)
{
	struct reading reading = { .ctx = ctx };
	int rc;

	xlrbd__begin(ctx);
	rc = read_once(&reading);
	if (!rc && !spec->pool) {
		spec->pool = reading.default_pool;
		reading.default_pool = NULL;
	}
	reading.pool = spec->pool ? spec->pool : XLRBD__DEFAULT_POOL;
	if (!rc)
		rc = read_once(&reading);
	if (!rc && reading.of_all.conf && reading.of_all.cluster)
		rc = xlrbd__fail(ctx, -EINVAL, "%s: conf= and cluster= both name the configuration",
				 XLRBD_CONF);
	if (!rc) {
		inherit(spec, &reading.of_pool);
		inherit(spec, &reading.of_all);
	}
	free(reading.default_pool);
	xlrbd_spec_dispose(&reading.of_pool);
	xlrbd_spec_dispose(&reading.of_all);
	return rc;
}

int xlrbd_hosts(struct xlrbd_ctx *ctx, xlrbd_host_fn *fn, void *data)
{
	struct reading reading = { .ctx = ctx, .host_fn = fn, .data = data };
	int rc;

	xlrbd__begin(ctx);
	rc = read_once(&reading);
	free(reading.default_pool);
	return rc;
}

/* The last one counts, as for sections that are there twice. */
struct address {
	const char *host;
	char *text;
};

static void take_address(void *data, const char *host, const char *text)
{
	struct address *address = data;

	if (strcmp(host, address->host) != 0)
		return;
	free(address->text);
	address->text = strdup(text);
}

int xlrbd_host_address(struct xlrbd_ctx *ctx, const char *host,
		       char **address_out)
{
	struct address address = { .host = host };
	int rc;

	*address_out = NULL;
	rc = xlrbd_hosts(ctx, take_address, &address);
	if (!rc && (!*host || *host == '-'))
		rc = xlrbd__fail(ctx, -EINVAL, "no host's name: \"%s\"", host);
	if (rc < 0) {
		free(address.text);
		return rc;
	}
	*address_out = address.text ? address.text : strdup(host);
	return *address_out ? 0 : xlrbd__fail_nomem(ctx);
}
