// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * NAME[=VALUE]: what a target says behind its image, and xlrbd.conf for all.
 * Pure.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* How much of a bad option an error quotes. */
#define QUOTE_MAX	80

/* One option, where it stands. */
struct option {
	struct xlrbd_ctx *ctx;
	const char *where;	/* "target", or a file and line */
	const char *text;	/* all of it, to quote */
	const char *value;	/* unescaped */
};

static int bad(const struct option *option, const char *why)
{
	size_t length = strlen(option->text);

	return xlrbd__fail(option->ctx, -EINVAL, "%s: %s: \"%.*s\"%s",
			   option->where, why,
			   (int)(length < QUOTE_MAX ? length : QUOTE_MAX),
			   option->text, length > QUOTE_MAX ? "..." : "");
}

/* Letters, digits and @extra only, and not empty. */
static bool is_word(const char *value, const char *extra)
{
	const char *p;

	for (p = value; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= '0' && *p <= '9') || strchr(extra, *p)))
			return false;
	return p != value;
}

static int set_once(const struct option *option, char **member,
		    const char *value)
{
	if (*member)
		return bad(option, "option given twice");
	*member = strdup(value);
	return *member ? 0 : xlrbd__fail_nomem(option->ctx);
}

static int take_id(const struct option *option, struct xlrbd_spec *spec)
{
	if (!strncmp(option->value, "client.", 7))
		return bad(option, "id= goes without \"client.\"");
	if (!is_word(option->value, "._-"))
		return bad(option, "id= takes a cephx id, such as id=xen");
	return set_once(option, &spec->id, option->value);
}

static int take_conf(const struct option *option, struct xlrbd_spec *spec)
{
	if (option->value[0] != '/')
		return bad(option, "conf= takes an absolute path");
	return set_once(option, &spec->conf, option->value);
}

static int take_cluster(const struct option *option, struct xlrbd_spec *spec)
{
	if (!is_word(option->value, "_-"))
		return bad(option, "cluster= takes a name, such as ceph");
	return set_once(option, &spec->cluster, option->value);
}

static int take_mode(const struct option *option, struct xlrbd_spec *spec)
{
	enum xlrbd_mode mode;

	if (spec->mode)
		return bad(option, "option given twice");
	for (mode = XLRBD_MODE_R; mode <= XLRBD_MODE_W_SHARED; mode++)
		if (!strcmp(option->value, xlrbd_mode_name(mode)))
			spec->mode = mode;
	return spec->mode ? 0 : bad(option, "mode= takes one of r, w, r!, w!");
}

static int take_timeout(const struct option *option, struct xlrbd_spec *spec)
{
	const char *value = option->value;
	char why[64];
	unsigned long seconds;

	if (spec->timeout_s)
		return bad(option, "option given twice");
	seconds = strlen(value) <= 3 && !value[strspn(value, "0123456789")] ?
		  strtoul(value, NULL, 10) : 0;
	if (seconds < XLRBD_TIMEOUT_MIN || seconds > XLRBD_TIMEOUT_MAX) {
		snprintf(why, sizeof(why), "timeout= takes %d to %d seconds",
			 XLRBD_TIMEOUT_MIN, XLRBD_TIMEOUT_MAX);
		return bad(option, why);
	}
	spec->timeout_s = seconds;
	return 0;
}

static int take_takeover(const struct option *option, struct xlrbd_spec *spec)
{
	if (spec->takeover)
		return bad(option, "option given twice");
	if (strcmp(option->value, "fence") != 0)
		return bad(option, "takeover= takes fence");
	spec->takeover = true;
	return 0;
}

/* [POOL[/NAMESPACE]/]IMAGE@SNAPSHOT */
static int take_clone(const struct option *option, struct xlrbd_spec *spec)
{
	static const char why[] =
		"clone= takes [POOL[/NAMESPACE]/]IMAGE@SNAPSHOT";
	char *parts[3], *rest, *snap;
	size_t i, n = 0;

	if (spec->base)
		return bad(option, "option given twice");
	spec->base = strdup(option->value);
	rest = strdup(option->value);
	if (!spec->base || !rest) {
		free(rest);
		return xlrbd__fail_nomem(option->ctx);
	}
	snap = strchr(rest, '@');
	if (snap)
		*snap++ = '\0';
	parts[0] = rest;
	while (n < 3 && (parts[n] = strsep(&rest, "/")))
		n++;
	for (i = 0; i < n && snap; i++)
		if (!*parts[i] || !xlrbd__name_is_usable(parts[i]))
			snap = NULL;
	if (!snap || rest || !*snap || !xlrbd__name_is_usable(snap)) {
		free(parts[0]);
		return bad(option, why);
	}
	free(parts[0]);
	return 0;
}

/* Units are asked for: rbd(8) counts bare numbers in megabytes, others not. */
static int take_size(const struct option *option, struct xlrbd_spec *spec)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	unsigned long long number;
	unsigned int shift;

	if (spec->size)
		return bad(option, "option given twice");
	number = is_word(option->value, "") ?
		 strtoull(option->value, &end, 10) : 0;
	unit = number && *end && !end[1] ? strchr(units, *end) : NULL;
	shift = unit ? 10 * (unit - units + 1) : 0;
	if (!unit || number >> (63 - shift))
		return bad(option,
			   "size= takes a number with K, M, G or T, such as size=20G");
	spec->size = (uint64_t)number << shift;
	return 0;
}

static int take_ephemeral(const struct option *option, struct xlrbd_spec *spec)
{
	if (spec->ephemeral)
		return bad(option, "option given twice");
	spec->ephemeral = true;
	return 0;
}

/*
 * The krbd options that an administrator may want per disk (linux:
 * Documentation of rbd(8), "KERNEL RBD (KRBD) OPTIONS").  Not here: what would
 * break this software's own promises (exclusive: a migration's destination
 * could not map; lock_timeout, osd_request_timeout: lost writes; ro, rw, name
 * and secret: ours to say).
 */
static const struct {
	const char *name;
	bool takes_value;
} map_options[] = {
	{ "queue_depth", true },
	{ "alloc_size", true },
	{ "read_from_replica", true },
	{ "crush_location", true },
	{ "compression_hint", true },
	{ "ms_mode", true },
	{ "rxbounce", false },
	{ "notrim", false },
	{ "noshare", false },
	{ "lock_on_read", false },
	{ "abort_on_full", false },
	{ "tcp_nodelay", false },
	{ "notcp_nodelay", false },
};

static bool map_option_is_allowed(const char *option)
{
	size_t length = strcspn(option, "=");
	size_t i;

	for (i = 0; i < XLRBD__ARRAY_SIZE(map_options); i++)
		if (strlen(map_options[i].name) == length &&
		    !strncmp(option, map_options[i].name, length))
			return map_options[i].takes_value ?
			       is_word(option + length, "=._-:|/") &&
			       option[length + 1] : !option[length];
	return false;
}

static int take_map(const struct option *option, struct xlrbd_spec *spec)
{
	char *joined;

	if (!map_option_is_allowed(option->value))
		return bad(option,
			   "not a map option that may be set; see block-rbd(8)");
	if (!spec->map_options)
		return set_once(option, &spec->map_options, option->value);
	if (asprintf(&joined, "%s,%s", spec->map_options, option->value) < 0)
		return xlrbd__fail_nomem(option->ctx);
	free(spec->map_options);
	spec->map_options = joined;
	return 0;
}

enum trait {
	FLAG = 1,	/* takes no value */
	PATH = 2,	/* may hold '/' and '@' */
	DEFAULT = 4	/* may stand in xlrbd.conf, for all disks */
};

static const struct {
	const char *name;
	int (*take)(const struct option *option, struct xlrbd_spec *spec);
	unsigned int traits;
} options[] = {
	{ "id", take_id, DEFAULT },
	{ "conf", take_conf, PATH | DEFAULT },
	{ "cluster", take_cluster, DEFAULT },
	{ "mode", take_mode, 0 },
	{ "map", take_map, PATH | DEFAULT },
	{ "timeout", take_timeout, DEFAULT },
	{ "takeover", take_takeover, 0 },
	{ "clone", take_clone, PATH },
	{ "size", take_size, 0 },
	{ "ephemeral", take_ephemeral, FLAG },
};

static int take(struct xlrbd_ctx *ctx, const char *where, const char *text,
		bool as_default, struct xlrbd_spec *spec)
{
	struct option option = { .ctx = ctx, .where = where, .text = text };
	size_t length = strcspn(text, "=");
	char *value;
	size_t i;
	int rc;

	for (i = 0; i < XLRBD__ARRAY_SIZE(options); i++)
		if (strlen(options[i].name) == length &&
		    !strncmp(text, options[i].name, length))
			break;
	if (i == XLRBD__ARRAY_SIZE(options))
		return bad(&option, "unknown option; see block-rbd(8)");
	if (as_default && !(options[i].traits & DEFAULT))
		return bad(&option, "an option for one disk only, in its target");
	if (options[i].traits & FLAG)
		return text[length] ? bad(&option, "takes no value") :
		       options[i].take(&option, spec);
	if (!text[length] || !text[length + 1])
		return bad(&option, "option without its value");
	value = strdup(text + length + 1);
	if (!value)
		return xlrbd__fail_nomem(ctx);
	option.value = value;
	if (!xlrbd__unescape(value))
		rc = bad(&option, "bad %XX");
	else if (!(options[i].traits & PATH) && !xlrbd__name_is_usable(value))
		rc = bad(&option, "blank, control character, '/' or '@'");
	else
		rc = options[i].take(&option, spec);
	free(value);
	return rc;
}

int xlrbd__option_take(struct xlrbd_ctx *ctx, const char *text,
		       struct xlrbd_spec *spec)
{
	return take(ctx, "target", text, false, spec);
}

int xlrbd__option_take_default(struct xlrbd_ctx *ctx, const char *where,
			       const char *text, struct xlrbd_spec *spec)
{
	return take(ctx, where, text, true, spec);
}
