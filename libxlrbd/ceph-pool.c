// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pools, their namespaces, and the images in them.
 */
#include "config.h"

#include <errno.h>
#include <rbd/librbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "ceph.h"

int xlrbd__ceph_enter(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *spec,
		      struct xlrbd__image *image)
{
	int r;

	rados_cluster_fsid(ceph->cluster, image->fsid, sizeof(image->fsid));
	snprintf(image->pool, sizeof(image->pool), "%s",
		 spec->pool ? spec->pool : XLRBD__DEFAULT_POOL);
	if (ceph->io)
		rados_ioctx_destroy(ceph->io);
	ceph->io = NULL;
	xlrbd__ceph_arm(ceph);
	r = rados_ioctx_create(ceph->cluster, image->pool, &ceph->io);
	if (r == -ENOENT)
		return xlrbd__fail(ctx, r,
				   "no pool \"%s\" in cluster %s; see `ceph osd pool ls`",
				   image->pool, image->fsid);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "open pool", image->pool);
	image->pool_id = rados_ioctx_get_id(ceph->io);
	/* Lock entries must come and go on a full pool as well. */
	rados_set_pool_full_try(ceph->io);
	if (spec->ns) {
		snprintf(image->ns, sizeof(image->ns), "%s", spec->ns);
		rados_ioctx_set_namespace(ceph->io, spec->ns);
	}
	return 0;
}

static int list_images(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const char *pool, rbd_image_spec_t **specs_out,
		       size_t *n_out)
{
	rbd_image_spec_t *specs = NULL;
	size_t n = 256;
	int r;

	do {
		free(specs);
		specs = calloc(n, sizeof(*specs));
		if (!specs)
			return xlrbd__fail_nomem(ctx);
		xlrbd__ceph_arm(ceph);
		r = rbd_list2(ceph->io, specs, &n);
		/* n now says how many there are. */
	} while (r == -ERANGE);
	if (r < 0) {
		free(specs);
		return xlrbd__ceph_fail(ctx, ceph, r, "list images of", pool);
	}
	*specs_out = specs;
	*n_out = n;
	return 0;
}

typedef int image_fn(void *data, const struct xlrbd__image *image,
		     const char *what);

static int visit_image(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		       image_fn *fn, void *data)
{
	struct xlrbd_spec spec = {
		.pool = (char *)image->pool,
		.ns = image->ns[0] ? (char *)image->ns : NULL,
		.image = (char *)image->name,
	};
	char *what = xlrbd__spec_name(&spec);
	int rc;

	if (!what)
		return xlrbd__fail_nomem(ctx);
	rc = fn(data, image, what);
	free(what);
	return rc;
}

int xlrbd__ceph_each_image(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd_spec *spec, image_fn *fn,
			   void *data)
{
	struct xlrbd__image image;
	rbd_image_spec_t *specs = NULL;
	size_t i, n = 0;
	int rc;

	memset(&image, 0, sizeof(image));
	rc = xlrbd__ceph_enter(ctx, ceph, spec, &image);
	if (!rc)
		rc = list_images(ctx, ceph, image.pool, &specs, &n);
	if (rc < 0)
		return rc;
	for (i = 0; !rc && i < n; i++) {
		snprintf(image.name, sizeof(image.name), "%s", specs[i].name);
		snprintf(image.id, sizeof(image.id), "%s", specs[i].id);
		/* Format 1 images have no id, and no entries of ours. */
		if (image.id[0])
			rc = visit_image(ctx, &image, fn, data);
	}
	rbd_image_spec_list_cleanup(specs, n);
	free(specs);
	return rc;
}

/* Strings laid end to end, as librados and librbd give them; or NULL. */
static char *list_pools(struct xlrbd__ceph *ceph)
{
	int size = rados_pool_list(ceph->cluster, NULL, 0);
	char *names = size > 0 ? calloc(1, size + 1) : NULL;

	if (names)
		rados_pool_list(ceph->cluster, names, size);
	return names;
}

static char *list_namespaces(struct xlrbd__ceph *ceph, size_t *size_out)
{
	char *names = NULL, *more;
	size_t size = 0;
	int r;

	do {
		more = realloc(names, size + 1);
		if (!more)
			break;
		names = more;
		xlrbd__ceph_arm(ceph);
		r = rbd_namespace_list(ceph->io, names, &size);
		/* size now says what is needed. */
	} while (r == -ERANGE);
	if (!more || r < 0)
		size = 0;
	*size_out = size;
	return names;
}

typedef int pool_fn(void *data, struct xlrbd__ceph *ceph,
		    const struct xlrbd_spec *pool);

/* The pool itself, then its namespaces. */
static int visit_pool(struct xlrbd__ceph *ceph, char *pool, pool_fn *fn,
		      void *data)
{
	struct xlrbd_spec spec = { .pool = pool };
	struct xlrbd__ceph own = *ceph;
	char *names = NULL;
	size_t at, size = 0;
	int rc;

	xlrbd__ceph_arm(&own);
	/* Deleted this moment: nothing to see. */
	if (rados_ioctx_create(own.cluster, pool, &own.io) < 0)
		return 0;
	names = list_namespaces(&own, &size);
	rados_ioctx_destroy(own.io);
	own.io = NULL;
	rc = fn(data, &own, &spec);
	for (at = 0; !rc && at < size; at += strlen(spec.ns) + 1) {
		spec.ns = names + at;
		if (*spec.ns)
			rc = fn(data, &own, &spec);
	}
	if (own.io)
		rados_ioctx_destroy(own.io);
	ceph->op_timeout_s = own.op_timeout_s;
	free(names);
	return rc;
}

int xlrbd__ceph_each_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  pool_fn *fn, void *data)
{
	char *names = list_pools(ceph);
	char *name;
	int rc = 0;

	if (!names)
		return xlrbd__fail_nomem(ctx);
	for (name = names; !rc && *name; name += strlen(name) + 1)
		rc = visit_pool(ceph, name, fn, data);
	free(names);
	return rc;
}
