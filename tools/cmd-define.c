// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd define, undefine, show - what a domain is, kept in the pool
 *
 * The text stays as its author wrote it; beside it lies what xl made of it, in
 * which the UUID and the MACs are fixed, so that the domain is the same one
 * wherever it is started.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "xlrbd.h"

/* The line that show puts on top, so that define knows what was changed. */
#define HEADER		"# xlrbd: "

/*
 * "# xlrbd: web1 version 3, ..." says what was changed; the line goes.  A copy
 * for another domain is a new definition.
 */
static void take_header(char *text, const char *name, uint64_t *version_out)
{
	char of[256];
	uint64_t version;
	char *end;

	*version_out = 0;
	if (strncmp(text, HEADER, sizeof(HEADER) - 1) != 0)
		return;
	if (sscanf(text, HEADER "%255s version %" SCNu64, of, &version) == 2 &&
	    !strcmp(of, name))
		*version_out = version;
	end = strchr(text, '\n');
	if (end)
		memmove(text, end + 1, strlen(end + 1) + 1);
}

/* As libxl makes them (xen: libxl_nic.c, libxl__device_nic_setdefault()). */
static int make_mac(char out[18])
{
	unsigned char r[3];

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		return fail("no random number for a MAC: %s", strerror(errno));
	snprintf(out, 18, "00:16:3e:%02x:%02x:%02x", r[0] & 0x7f, r[1], r[2]);
	return DONE;
}

/* The MAC of an interface: as written, or as it was, or a new one. */
static int fix_mac(json_t *nic, const char *before, char *macs, size_t size)
{
	const char *written = json_string_value(json_object_get(nic, "mac"));
	size_t used = strlen(macs);
	char mac[18] = "";
	int rc = DONE;

	if (written && strcmp(written, "00:00:00:00:00:00") != 0)
		snprintf(mac, sizeof(mac), "%s", written);
	else if (before && *before)
		snprintf(mac, sizeof(mac), "%s", before);
	else
		rc = make_mac(mac);
	if (rc)
		return rc;
	if (used + sizeof(mac) + 1 > size)
		return fail("too many network interfaces");
	snprintf(macs + used, size - used, "%s%s", used ? " " : "", mac);
	return json_object_set_new(nic, "mac", json_string(mac)) ?
	       fail("out of memory") : DONE;
}

static int fix_macs(json_t *config, const char *before, char *macs,
		    size_t size)
{
	char *copy = strdup(before ? before : ""), *rest = copy;
	json_t *nic;
	size_t i;
	int rc = copy ? DONE : fail("out of memory");

	macs[0] = '\0';
	json_array_foreach(json_object_get(config, "nics"), i, nic)
		if (!rc)
			rc = fix_mac(nic, strsep(&rest, " "), macs, size);
	free(copy);
	return rc;
}

/*
 * The UUID as written, or as it was before, or the one that xl has just made
 * up.
 */
static int fix_uuid(json_t *config, const char *text, const char *before,
		    const char **uuid_out)
{
	json_t *info = json_object_get(config, "c_info");

	if (before && !xlcfg_has(text, "uuid") &&
	    json_object_set_new(info, "uuid", json_string(before)))
		return fail("out of memory");
	*uuid_out = json_string_value(json_object_get(info, "uuid"));
	return *uuid_out ? DONE : fail("xl gave the domain no UUID");
}

/* Those of the same domain as it is stored, if it is. */
static int load_before(struct session *s, const char *name,
		       struct xlrbd_definition *before)
{
	int rc = xlrbd_definition_load(s->ctx, &s->where, name, before);

	return rc && rc != -ENOENT ? fail_ctx(s) : DONE;
}

static int store(struct session *s, const char *name, char *text,
		 json_t *config)
{
	struct xlrbd_definition before, d = { .name = NULL };
	const char *uuid = NULL;
	char macs[1024];
	int rc;

	rc = load_before(s, name, &before);
	take_header(text, name, &d.version);
	if (s->given & OPT_FORCE)
		d.version = before.version;
	if (!rc)
		rc = fix_uuid(config, text, before.uuid, &uuid);
	if (!rc)
		rc = fix_macs(config, before.macs, macs, sizeof(macs));
	if (!rc) {
		d.name = strdup(name);
		d.uuid = strdup(uuid);
		d.macs = strdup(macs);
		d.config = strdup(text);
		d.json = json_dumps(config, JSON_COMPACT);
		if (!d.name || !d.uuid || !d.macs || !d.config || !d.json)
			rc = fail("out of memory");
		else if (xlrbd_definition_store(s->ctx, &s->where, &d) < 0)
			rc = fail_ctx(s);
	}
	if (!rc && s->json)
		rc = print_row(s, json_pack("{s:s s:I s:s}", "domain", name,
					    "version", (json_int_t)d.version,
					    "uuid", d.uuid));
	else if (!rc)
		printf("%s: version %" PRIu64 "\n", name, d.version);
	xlrbd_definition_dispose(&before);
	xlrbd_definition_dispose(&d);
	return rc;
}

int cmd_define(struct session *s, int argc, char **argv)
{
	char *text = xlcfg_read(argv[0]);
	json_t *config = NULL;
	const char *name;
	int rc;

	(void)argc;
	if (!text)
		return FAILED;
	rc = xlcfg_parse(text, &config);
	name = json_string_value(json_object_get(
			json_object_get(config, "c_info"), "name"));
	if (!rc && !name)
		rc = fail("%s: no name=", argv[0]);
	if (!rc)
		rc = store(s, name, text, config);
	json_decref(config);
	free(text);
	return rc;
}

int cmd_undefine(struct session *s, int argc, char **argv)
{
	(void)argc;
	return xlrbd_definition_remove(s->ctx, &s->where, argv[0]) < 0 ?
	       fail_ctx(s) : DONE;
}

static int show_json(const struct xlrbd_definition *d)
{
	json_t *root;

	root = json_pack("{s:s, s:s, s:I, s:s, s:o, s:s, s:o?}",
			 "domain", d->name, "uuid", d->uuid, "version",
			 (json_int_t)d->version, "by", d->host, "stored",
			 time_value(d->time), "text", d->config,
			 "config", json_loads(d->json, 0, NULL));
	if (!root)
		return fail("out of memory");
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
	return DONE;
}

int cmd_show(struct session *s, int argc, char **argv)
{
	struct xlrbd_definition d;
	json_t *when;
	int rc = DONE;

	(void)argc;
	if (xlrbd_definition_load(s->ctx, &s->where, argv[0], &d) < 0)
		return fail_ctx(s);
	if (s->json) {
		rc = show_json(&d);
	} else {
		when = time_value(d.time);
		printf(HEADER "%s version %" PRIu64 ", stored %s by %s, UUID %s%s%s\n%s",
		       d.name, d.version, json_string_value(when), d.host,
		       d.uuid, *d.macs ? ", MAC " : "", d.macs, d.config);
		json_decref(when);
	}
	xlrbd_definition_dispose(&d);
	return rc;
}
