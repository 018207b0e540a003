// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Domains' definitions, next to their images: one object of keys and values,
 * so that one request changes a definition together with what must be unique
 * in the cluster.
 *
 *	domain:NAME	the definition, JSON
 *	uuid:UUID	NAME
 *	mac:MAC		NAME
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

#define OBJECT		"xlrbd_domains"
#define CHANGES_MAX	64

static const char domain_prefix[] = "domain:";

/* A connection to where definitions are. */
struct place {
	struct xlrbd_ctx *ctx;
	struct xlrbd__ceph *ceph;
	struct xlrbd__deadline deadline;
	char *what;		/* "rbd" */
};

static int enter(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		 struct place *place)
{
	const struct xlrbd_spec where = { .pool = pool->pool, .ns = pool->ns };
	struct xlrbd__image in;
	int rc;

	xlrbd__begin(ctx);
	place->ctx = ctx;
	place->ceph = NULL;
	place->what = xlrbd__spec_name(&where);
	if (!place->what)
		return xlrbd__fail_nomem(ctx);
	xlrbd__deadline_set(&place->deadline,
			    (pool->timeout_s ? pool->timeout_s :
			     XLRBD_TIMEOUT_DEFAULT) * 1000);
	rc = xlrbd__ceph_connect(ctx, pool, &place->deadline, &place->ceph);
	return rc ? rc : xlrbd__ceph_enter(ctx, place->ceph, &where, &in);
}

static void leave(struct place *place)
{
	xlrbd__ceph_close(place->ctx, place->ceph);
	free(place->what);
}

static int take_value(void *data, const char *key, const char *value)
{
	char **out = data;

	(void)key;
	*out = strdup(value);
	return *out ? 1 : -ENOMEM;
}

static int take_exactly(void *data, const char *key, const char *value)
{
	const char *const *wanted = data;

	/* A longer name that begins like ours. */
	return strcmp(key, wanted[0]) ? 0 :
	       take_value((void *)wanted[1], key, value);
}

/* What is at @key, NULL if nothing; freed by the caller. */
static int get(struct place *place, const char *key, char **value_out)
{
	const void *wanted[2] = { key, value_out };
	int r;

	*value_out = NULL;
	r = xlrbd__ceph_map_each(place->ceph, OBJECT, key, take_exactly,
				 wanted);
	return r < 0 ? xlrbd__ceph_fail(place->ctx, place->ceph, r,
					"read the definitions in",
					place->what) : 0;
}

static int fail_decode(struct xlrbd_ctx *ctx, int rc, const char *name)
{
	if (rc == -ENOMEM)
		return xlrbd__fail_nomem(ctx);
	return xlrbd__fail(ctx, rc,
			   "definition of %s: not understood; made by a later version of xlrbd?",
			   name);
}

/* As it is now: its text too, to be compared with when it is changed. */
static int load(struct place *place, const char *name, char **text_out,
		struct xlrbd_definition *definition_out)
{
	char *key;
	int rc;

	memset(definition_out, 0, sizeof(*definition_out));
	if (asprintf(&key, "%s%s", domain_prefix, name) < 0)
		return xlrbd__fail_nomem(place->ctx);
	rc = get(place, key, text_out);
	free(key);
	if (!rc && !*text_out)
		rc = xlrbd__fail(place->ctx, -ENOENT,
				 "no domain \"%s\" is defined in %s; see `xlrbd list --defined`",
				 name, place->what);
	if (rc < 0)
		return rc;
	rc = xlrbd__definition_decode(*text_out, definition_out);
	if (!rc)
		return 0;
	free(*text_out);
	*text_out = NULL;
	return fail_decode(place->ctx, rc, name);
}

int xlrbd_definition_load(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
			  const char *name,
			  struct xlrbd_definition *definition_out)
{
	struct place place;
	char *text = NULL;
	int rc;

	memset(definition_out, 0, sizeof(*definition_out));
	rc = enter(ctx, pool, &place);
	if (!rc)
		rc = load(&place, name, &text, definition_out);
	free(text);
	leave(&place);
	return rc;
}

/* Changes that happen together; keys are owned. */
struct changes {
	struct xlrbd__map_change v[CHANGES_MAX];
	size_t n;
};

/* A second change of a key goes to the first one. */
static int add_change(struct changes *changes, const char *prefix,
		      const char *name, const char *old, const char *new)
{
	char *key;
	size_t i;

	if (asprintf(&key, "%s%s", prefix, name) < 0)
		return -ENOMEM;
	for (i = 0; i < changes->n; i++) {
		if (strcmp(changes->v[i].key, key) != 0)
			continue;
		changes->v[i].new = new;
		free(key);
		return 0;
	}
	if (changes->n == CHANGES_MAX) {
		free(key);
		return -E2BIG;
	}
	changes->v[changes->n++] = (struct xlrbd__map_change){ key, old, new };
	return 0;
}

/* What must be unique: claimed for @new, or given up with @old. */
static int add_claims(struct changes *changes,
		      const struct xlrbd_definition *of, const char *old,
		      const char *new)
{
	char *macs = strdup(of->macs), *rest = macs, *mac;
	int rc;

	if (!macs)
		return -ENOMEM;
	rc = add_change(changes, "uuid:", of->uuid, old, new);
	while (!rc && (mac = strsep(&rest, " ")))
		if (*mac)
			rc = add_change(changes, "mac:", mac, old, new);
	free(macs);
	return rc;
}

static void forget_changes(struct changes *changes)
{
	size_t i;

	for (i = 0; i < changes->n; i++)
		free((char *)changes->v[i].key);
}

/* Which of them did not find what it expected? */
static int explain(struct place *place, const struct changes *changes,
		   const char *name)
{
	char *found;
	size_t i;
	int rc;

	for (i = 1; i < changes->n; i++) {
		rc = get(place, changes->v[i].key, &found);
		if (rc < 0)
			return rc;
		if (found && strcmp(found, name) != 0) {
			rc = xlrbd__fail(place->ctx, -EEXIST,
					 "%s: %s is domain %s's; let `xlrbd define` choose another one",
					 name, changes->v[i].key, found);
			free(found);
			return rc;
		}
		free(found);
	}
	return xlrbd__fail(place->ctx, -ESTALE,
			   "%s: changed by somebody else this moment; nothing done",
			   name);
}

static int apply(struct place *place, const struct changes *changes,
		 const char *name)
{
	int r = xlrbd__ceph_map_change(place->ceph, OBJECT, changes->v,
				       changes->n);

	if (r == -ECANCELED)
		return explain(place, changes, name);
	return r < 0 ? xlrbd__ceph_fail(place->ctx, place->ceph, r,
					"write the definitions in",
					place->what) : 0;
}

/* @text and @now are NULL and empty if there is none yet. */
static int replace(struct place *place, const struct xlrbd_definition *now,
		   const char *text, const struct xlrbd_definition *definition)
{
	struct changes changes = { .n = 0 };
	char *encoded = xlrbd__definition_encode(definition);
	int rc;

	if (!encoded)
		return xlrbd__fail(place->ctx, -EINVAL,
				   "%s: a definition must be UTF-8",
				   definition->name);
	rc = add_change(&changes, domain_prefix, definition->name,
			text ? text : "", encoded);
	if (!rc && text)
		rc = add_claims(&changes, now, now->name, NULL);
	if (!rc)
		rc = add_claims(&changes, definition, "", definition->name);
	if (rc < 0)
		rc = xlrbd__fail(place->ctx, rc, "%s: %s", definition->name,
				 rc == -E2BIG ? "too many network interfaces" :
						strerror(-rc));
	else
		rc = apply(place, &changes, definition->name);
	forget_changes(&changes);
	free(encoded);
	return rc;
}

static int check_version(struct xlrbd_ctx *ctx,
			 const struct xlrbd_definition *now,
			 const struct xlrbd_definition *wanted)
{
	char when[XLRBD__TIME_MAX];

	if (now->version == wanted->version)
		return 0;
	if (!now->version)
		return xlrbd__fail(ctx, -ESTALE,
				   "%s: not defined any more; nothing done",
				   wanted->name);
	xlrbd__time_text(now->time, when);
	if (!wanted->version)
		return xlrbd__fail(ctx, -EEXIST,
				   "%s: defined already, version %llu; change what `xlrbd show %s` prints",
				   wanted->name,
				   (unsigned long long)now->version,
				   wanted->name);
	return xlrbd__fail(ctx, -ESTALE,
			   "%s: yours is made from version %llu, but %s has stored version %llu at %s; see `xlrbd show %s`",
			   wanted->name, (unsigned long long)wanted->version,
			   now->host, (unsigned long long)now->version, when,
			   wanted->name);
}

static int store(struct place *place, struct xlrbd_definition *definition)
{
	struct xlrbd_definition now = { .name = NULL }, next = *definition;
	struct xlrbd__host host;
	char *text = NULL;
	int rc;

	rc = xlrbd__host_read(place->ctx, &host);
	if (!rc)
		rc = load(place, definition->name, &text, &now);
	if (rc == -ENOENT) {
		xlrbd__begin(place->ctx);
		rc = 0;
	}
	if (!rc)
		rc = check_version(place->ctx, &now, definition);
	next.host = host.name;
	next.time = time(NULL);
	next.version++;
	if (!rc)
		rc = replace(place, &now, text, &next);
	free(text);
	xlrbd_definition_dispose(&now);
	if (rc < 0)
		return rc;
	free(definition->host);
	definition->host = strdup(host.name);
	definition->time = next.time;
	definition->version = next.version;
	return definition->host ? 0 : xlrbd__fail_nomem(place->ctx);
}

int xlrbd_definition_store(struct xlrbd_ctx *ctx,
			   const struct xlrbd_spec *pool,
			   struct xlrbd_definition *definition)
{
	struct place place;
	int rc;

	rc = enter(ctx, pool, &place);
	if (!rc)
		rc = store(&place, definition);
	leave(&place);
	return rc;
}

int xlrbd_definition_remove(struct xlrbd_ctx *ctx,
			    const struct xlrbd_spec *pool, const char *name)
{
	struct changes changes = { .n = 0 };
	struct xlrbd_definition now;
	struct place place;
	char *text = NULL;
	int rc;

	rc = enter(ctx, pool, &place);
	if (!rc)
		rc = load(&place, name, &text, &now);
	if (!rc) {
		rc = add_change(&changes, domain_prefix, name, text, NULL);
		if (!rc)
			rc = add_claims(&changes, &now, name, NULL);
		rc = rc ? xlrbd__fail_nomem(ctx) :
			  apply(&place, &changes, name);
		forget_changes(&changes);
		xlrbd_definition_dispose(&now);
	}
	free(text);
	leave(&place);
	return rc;
}

/* What walking through the definitions takes. */
struct walk {
	struct xlrbd_ctx *ctx;
	xlrbd_definition_fn *fn;
	void *data;
};

static int visit(void *data, const char *key, const char *value)
{
	struct walk *walk = data;
	struct xlrbd_definition definition;
	int rc;

	rc = xlrbd__definition_decode(value, &definition);
	if (rc < 0)
		return fail_decode(walk->ctx, rc, key);
	rc = walk->fn(walk->data, &definition);
	xlrbd_definition_dispose(&definition);
	return rc;
}

int xlrbd_definitions(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		      xlrbd_definition_fn *fn, void *data)
{
	struct walk walk = { ctx, fn, data };
	struct place place;
	int rc;

	rc = enter(ctx, pool, &place);
	if (!rc) {
		rc = xlrbd__ceph_map_each(place.ceph, OBJECT, domain_prefix,
					  visit, &walk);
		if (rc < 0 && !ctx->failed)
			rc = xlrbd__ceph_fail(ctx, place.ceph, rc,
					      "read the definitions in",
					      place.what);
	}
	leave(&place);
	return rc;
}
