// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The images of a pool, or of all pools, and everybody's entries in them:
 * several at a time, as each takes a few requests that are made of waiting.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Enough for hundreds of images within a second, and no burden to an OSD. */
#define WORKERS_MAX 16

/* What the workers share. */
struct work {
	struct xlrbd__scan *scan;
	const struct xlrbd__ceph *ceph;
	enum xlrbd__scan_for what;
	pthread_mutex_t lock;	/* of next */
	size_t next;
};

static int append(struct xlrbd_ctx *ctx, struct xlrbd__scan *scan,
		  const struct xlrbd__image *image)
{
	struct xlrbd_spec name = {
		.pool = (char *)image->pool,
		.ns = image->ns[0] ? (char *)image->ns : NULL,
		.image = image->name[0] ? (char *)image->name : NULL,
	};
	struct xlrbd__found *more;

	more = realloc(scan->v, (scan->n + 1) * sizeof(*more));
	if (!more)
		return xlrbd__fail_nomem(ctx);
	scan->v = more;
	more += scan->n;
	memset(more, 0, sizeof(*more));
	more->image = *image;
	more->what = xlrbd__spec_name(&name);
	if (!more->what)
		return xlrbd__fail_nomem(ctx);
	scan->n++;
	return 0;
}

/* The sentence of @ctx goes to the row, and the next one can do its best. */
static void trouble(struct xlrbd_ctx *ctx, struct xlrbd__found *found, int rc)
{
	found->rc = rc;
	found->trouble = strdup(xlrbd_error(ctx));
	xlrbd__begin(ctx);
}

/* What collecting images takes. */
struct listing {
	struct xlrbd_ctx *ctx;
	struct xlrbd__ceph *ceph;
	struct xlrbd__scan *scan;
};

static int add_pool(void *data, const struct xlrbd_spec *pool)
{
	struct listing *listing = data;
	struct xlrbd__image *images = NULL, in;
	char *what = xlrbd__spec_name(pool);
	size_t i, n = 0;
	int rc, r;

	if (!what)
		return xlrbd__fail_nomem(listing->ctx);
	rc = xlrbd__ceph_list_images(listing->ctx, listing->ceph, pool, what,
				     &images, &n);
	if (!rc)
		listing->scan->read_any = true;
	for (i = 0; !rc && i < n; i++)
		rc = append(listing->ctx, listing->scan, &images[i]);
	free(images);
	free(what);
	if (!rc || rc == -ENOMEM)
		return rc;
	memset(&in, 0, sizeof(in));
	strncpy(in.pool, pool->pool, sizeof(in.pool) - 1);
	strncpy(in.ns, pool->ns ? pool->ns : "", sizeof(in.ns) - 1);
	r = append(listing->ctx, listing->scan, &in);
	if (!r)
		trouble(listing->ctx, &listing->scan->v[listing->scan->n - 1],
			rc);
	return r;
}

static int add_image(struct listing *listing, const struct xlrbd_spec *spec)
{
	char *what = xlrbd__spec_name(spec);
	struct xlrbd__image image;
	int rc;

	if (!what)
		return xlrbd__fail_nomem(listing->ctx);
	rc = xlrbd__ceph_open_image(listing->ctx, listing->ceph, spec, what,
				    &image);
	if (!rc)
		rc = append(listing->ctx, listing->scan, &image);
	free(what);
	return rc;
}

static int look_at(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		   const struct work *work, struct xlrbd__found *found)
{
	int rc;

	rc = xlrbd__ceph_open_pool(ctx, ceph, &found->image);
	if (!rc && work->what == XLRBD__SCAN_FEATURES)
		return xlrbd__ceph_describe(ctx, ceph, &found->image,
					    found->what);
	if (!rc)
		rc = xlrbd__entries_list(ctx, ceph, &found->image,
					 found->what, &found->entries);
	if (!rc && found->entries.n && work->what == XLRBD__SCAN_HOLDERS)
		rc = xlrbd__ceph_watchers(ctx, ceph, &found->image,
					  found->what, &found->watchers);
	return rc;
}

static struct xlrbd__found *next_of(struct work *work)
{
	struct xlrbd__found *found = NULL;

	pthread_mutex_lock(&work->lock);
	if (work->next < work->scan->n)
		found = &work->scan->v[work->next++];
	pthread_mutex_unlock(&work->lock);
	return found;
}

static int work_with(struct xlrbd_ctx *ctx, struct work *work)
{
	struct xlrbd__ceph *ceph;
	struct xlrbd__found *found;
	int rc;

	rc = xlrbd__ceph_share(ctx, work->ceph, &ceph);
	if (rc < 0)
		return rc;
	while ((found = next_of(work))) {
		if (!found->image.name[0])
			continue;
		rc = look_at(ctx, ceph, work, found);
		if (rc == -ENOENT) {
			/* Deleted this moment: nobody holds it. */
			xlrbd__entries_dispose(&found->entries);
			found->image.name[0] = '\0';
			xlrbd__begin(ctx);
		} else if (rc < 0) {
			trouble(ctx, found, rc);
		}
	}
	xlrbd__ceph_close(ctx, ceph);
	return 0;
}

/* A worker that cannot start leaves its work to the others. */
static void *helper(void *data)
{
	struct xlrbd_ctx *ctx;

	if (!xlrbd_new(&ctx)) {
		work_with(ctx, data);
		xlrbd_free(ctx);
	}
	return NULL;
}

static int look_at_all(struct xlrbd_ctx *ctx, struct work *work)
{
	pthread_t helpers[WORKERS_MAX - 1];
	size_t i, n = 0;
	int rc;

	pthread_mutex_init(&work->lock, NULL);
	while (n < WORKERS_MAX - 1 && n + 1 < work->scan->n &&
	       !pthread_create(&helpers[n], NULL, helper, work))
		n++;
	rc = work_with(ctx, work);
	for (i = 0; i < n; i++)
		pthread_join(helpers[i], NULL);
	pthread_mutex_destroy(&work->lock);
	return rc;
}

int xlrbd__scan(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		const struct xlrbd_spec *where, enum xlrbd__scan_for what,
		struct xlrbd__scan *scan_out)
{
	struct work work = { .scan = scan_out, .what = what };
	struct listing listing = { ctx, NULL, scan_out };
	int rc;

	memset(scan_out, 0, sizeof(*scan_out));
	rc = xlrbd__ceph_share(ctx, ceph, &listing.ceph);
	if (rc < 0)
		return rc;
	if (where->image)
		rc = add_image(&listing, where);
	else if (where->pool)
		rc = add_pool(&listing, where);
	else
		rc = xlrbd__ceph_each_pool(ctx, listing.ceph, add_pool,
					   &listing);
	xlrbd__ceph_close(ctx, listing.ceph);
	work.ceph = ceph;
	if (!rc)
		rc = look_at_all(ctx, &work);
	if (rc < 0)
		xlrbd__scan_dispose(scan_out);
	return rc;
}

void xlrbd__scan_dispose(struct xlrbd__scan *scan)
{
	size_t i;

	for (i = 0; i < scan->n; i++) {
		struct xlrbd__found *found = &scan->v[i];

		xlrbd__entries_dispose(&found->entries);
		xlrbd__watchers_dispose(&found->watchers);
		free(found->trouble);
		free(found->what);
	}
	free(scan->v);
	memset(scan, 0, sizeof(*scan));
}

bool xlrbd__found_is_not_ours(const struct xlrbd__found *found)
{
	return !found->image.name[0] &&
	       (found->rc == -EPERM || found->rc == -EACCES);
}

bool xlrbd__watchers_have(const struct xlrbd__watchers *watchers,
			  const char *addr)
{
	size_t i;

	for (i = 0; i < watchers->n; i++)
		if (!strcmp(watchers->v[i], addr))
			return true;
	return false;
}

void xlrbd__watchers_dispose(struct xlrbd__watchers *watchers)
{
	size_t i;

	for (i = 0; i < watchers->n; i++)
		free(watchers->v[i]);
	free(watchers->v);
	memset(watchers, 0, sizeof(*watchers));
}

int xlrbd__is_watched(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd__image *image, const char *what,
		      const char *addr)
{
	struct xlrbd__watchers watchers;
	int rc;

	rc = xlrbd__ceph_watchers(ctx, ceph, image, what, &watchers);
	if (rc < 0)
		return rc;
	rc = xlrbd__watchers_have(&watchers, addr);
	xlrbd__watchers_dispose(&watchers);
	return rc;
}
