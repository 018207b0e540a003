// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The target grammar: [POOL[/NAMESPACE]:][IMAGE[@SNAPSHOT]][,OPTION[=VALUE]]...
 *
 * The first comma ends the name; %XX stands for any byte that the grammar
 * uses.  Pure: nothing here looks at a cluster, a file or the environment.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * Longer than names are.  Of snapshots krbd refuses more than 250 by itself
 * (linux: RBD_MAX_SNAP_NAME_LEN).
 */
#define NAME_LENGTH_MAX	510
/*
 * xenstored refuses larger values (xen: XENSTORE_PAYLOAD_MAX), so a longer
 * target cannot have come from xl.
 */
#define TARGET_LENGTH_MAX 4096
/* How much of a bad target an error quotes. */
#define QUOTE_MAX	80

const char *xlrbd_mode_name(enum xlrbd_mode mode)
{
	switch (mode) {
	case XLRBD_MODE_UNSET:
		break;
	case XLRBD_MODE_R:
		return "r";
	case XLRBD_MODE_W:
		return "w";
	case XLRBD_MODE_R_SHARED:
		return "r!";
	case XLRBD_MODE_W_SHARED:
		return "w!";
	}
	return "";
}

bool xlrbd__mode_writes(enum xlrbd_mode mode)
{
	return mode == XLRBD_MODE_W || mode == XLRBD_MODE_W_SHARED;
}

/* Names what is wrong and quotes the part of the target where it is. */
static int bad_part(struct xlrbd_ctx *ctx, const char *text, size_t length,
		    const char *why)
{
	return xlrbd__fail(ctx, -EINVAL, "target: %s: \"%.*s\"%s", why,
			   (int)(length < QUOTE_MAX ? length : QUOTE_MAX),
			   text, length > QUOTE_MAX ? "..." : "");
}

static int bad(struct xlrbd_ctx *ctx, const char *text, const char *why)
{
	return bad_part(ctx, text, strlen(text), why);
}

/*
 * krbd takes its names as words of one line and options separated by commas
 * (linux: rbd_add_parse_args()), so blanks and control characters cannot be
 * passed on; '/' and '@' are refused by librbd in image names.
 */
bool xlrbd__name_is_usable(const char *name)
{
	const unsigned char *p;

	for (p = (const unsigned char *)name; *p; p++)
		if (*p <= 0x20 || *p == 0x7f || *p == '/' || *p == '@')
			return false;
	return true;
}

/* Takes @length bytes of @text as a name of the kind @kind. */
static int take_name(struct xlrbd_ctx *ctx, const char *kind, const char *text,
		     size_t length, char **name_out)
{
	char why[64];
	char *name = strndup(text, length);

	if (!name)
		return xlrbd__fail_nomem(ctx);
	*name_out = name;
	if (!length) {
		snprintf(why, sizeof(why), "no %s name", kind);
		/* Nothing to quote, so what follows the gap. */
		return bad(ctx, text, why);
	}
	if (!xlrbd__unescape(name))
		snprintf(why, sizeof(why), "bad %%XX in the %s name", kind);
	else if (strlen(name) > NAME_LENGTH_MAX)
		snprintf(why, sizeof(why), "%s name longer than %d bytes",
			 kind, NAME_LENGTH_MAX);
	else if (!xlrbd__name_is_usable(name))
		snprintf(why, sizeof(why),
			 "blank, control character, '/' or '@' in the %s name",
			 kind);
	else
		return 0;
	return bad_part(ctx, text, length, why);
}

/* POOL[/NAMESPACE] */
static int parse_pool(struct xlrbd_ctx *ctx, const char *text, size_t length,
		      struct xlrbd_spec *spec)
{
	const char *slash = memchr(text, '/', length);
	size_t pool_length = slash ? (size_t)(slash - text) : length;
	int rc;

	rc = take_name(ctx, "pool", text, pool_length, &spec->pool);
	if (rc < 0 || !slash)
		return rc;
	rc = take_name(ctx, "namespace", slash + 1, length - pool_length - 1,
		       &spec->ns);
	/* krbd takes the namespace among its comma separated options. */
	if (!rc && strchr(spec->ns, ','))
		rc = bad_part(ctx, slash + 1, length - pool_length - 1,
			      "',' in the namespace name");
	return rc;
}

/* Everything before the first comma. */
static int parse_name(struct xlrbd_ctx *ctx, char *text,
		      struct xlrbd_spec *spec)
{
	char *end = strchr(text, ':');
	char *image = text;
	char *at;
	int rc;

	if (!end)
		end = strrchr(text, '/');
	else if (strchr(end + 1, ':') || strchr(end + 1, '/'))
		return bad(ctx, text, "more than one ':', or '/' after it");
	if (end) {
		rc = parse_pool(ctx, text, end - text, spec);
		if (rc < 0)
			return rc;
		image = end + 1;
	}
	/* None: named after the domain, see name.c. */
	if (!*image)
		return 0;
	at = strchr(image, '@');
	rc = take_name(ctx, "image", image,
		       at ? (size_t)(at - image) : strlen(image), &spec->image);
	if (rc < 0 || !at)
		return rc;
	return take_name(ctx, "snapshot", at + 1, strlen(at + 1), &spec->snap);
}

/* What can be told from the target alone. */
static int check_together(struct xlrbd_ctx *ctx, const char *target,
			  const struct xlrbd_spec *spec)
{
	if (spec->snap && xlrbd__mode_writes(spec->mode))
		return bad(ctx, target, "a snapshot cannot be written to");
	if (spec->conf && spec->cluster)
		return bad(ctx, target,
			   "conf= and cluster= both name the configuration");
	if (spec->base && spec->snap)
		return bad(ctx, target, "clone= makes an image, not a snapshot");
	if (!spec->base && spec->size)
		return bad(ctx, target, "size= goes with clone= only");
	if (!spec->base && spec->ephemeral)
		return bad(ctx, target, "ephemeral goes with clone= only");
	return 0;
}

int xlrbd_spec_parse(struct xlrbd_ctx *ctx, const char *target,
		     struct xlrbd_spec *spec_out)
{
	char *copy, *rest, *text;
	int rc;

	xlrbd__begin(ctx);
	memset(spec_out, 0, sizeof(*spec_out));
	if (!*target)
		return xlrbd__fail(ctx, -EINVAL,
				   "target: empty; it takes POOL:IMAGE, such as target=rbd:web1");
	if (strlen(target) > TARGET_LENGTH_MAX)
		return bad(ctx, target, "longer than 4096 bytes");
	copy = rest = strdup(target);
	if (!copy)
		return xlrbd__fail_nomem(ctx);
	text = strsep(&rest, ",");
	rc = parse_name(ctx, text, spec_out);
	while (!rc && rest)
		rc = xlrbd__option_take(ctx, strsep(&rest, ","), spec_out);
	if (!rc)
		rc = check_together(ctx, target, spec_out);
	free(copy);
	if (rc < 0)
		xlrbd_spec_dispose(spec_out);
	return rc;
}

void xlrbd_spec_dispose(struct xlrbd_spec *spec)
{
	free(spec->pool);
	free(spec->ns);
	free(spec->image);
	free(spec->snap);
	free(spec->id);
	free(spec->conf);
	free(spec->cluster);
	free(spec->map_options);
	free(spec->base);
	memset(spec, 0, sizeof(*spec));
}

char *xlrbd__spec_name(const struct xlrbd_spec *spec)
{
	char *name;
	int r;

	r = asprintf(&name, "%s%s%s%s%s%s%s",
		     spec->pool ? spec->pool : XLRBD__DEFAULT_POOL,
		     spec->ns ? "/" : "", spec->ns ? spec->ns : "",
		     spec->image ? "/" : "", spec->image ? spec->image : "",
		     spec->snap ? "@" : "", spec->snap ? spec->snap : "");
	return r < 0 ? NULL : name;
}
