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
	image->ns[0] = '\0';
	if (spec->ns) {
		snprintf(image->ns, sizeof(image->ns), "%s", spec->ns);
		rados_ioctx_set_namespace(ceph->io, spec->ns);
	}
	return 0;
}

static int list_images(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const char *what, rbd_image_spec_t **specs_out,
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
		return xlrbd__ceph_fail(ctx, ceph, r, "list images of", what);
	}
	*specs_out = specs;
	*n_out = n;
	return 0;
}

int xlrbd__ceph_list_images(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			    const struct xlrbd_spec *pool, const char *what,
			    struct xlrbd__image **images_out, size_t *n_out)
{
	struct xlrbd__image *images, in;
	rbd_image_spec_t *specs = NULL;
	size_t i, n = 0;
	int rc;

	memset(&in, 0, sizeof(in));
	rc = xlrbd__ceph_enter(ctx, ceph, pool, &in);
	if (!rc)
		rc = list_images(ctx, ceph, what, &specs, &n);
	if (rc < 0)
		return rc;
	images = calloc(n + 1, sizeof(*images));
	*n_out = 0;
	for (i = 0; images && i < n; i++) {
		/* Format 1 images have no id, and no entries of ours. */
		if (!specs[i].id[0])
			continue;
		images[*n_out] = in;
		snprintf(images[*n_out].name, sizeof(in.name), "%s",
			 specs[i].name);
		snprintf(images[*n_out].id, sizeof(in.id), "%s", specs[i].id);
		(*n_out)++;
	}
	rbd_image_spec_list_cleanup(specs, n);
	free(specs);
	*images_out = images;
	return images ? 0 : xlrbd__fail_nomem(ctx);
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

/* The pool itself, then its namespaces. */
static int visit_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      char *pool, xlrbd__pool_fn *fn, void *data)
{
	struct xlrbd_spec spec = { .pool = pool };
	struct xlrbd__image in;
	char *names;
	size_t at, size;
	int rc;

	rc = xlrbd__ceph_enter(ctx, ceph, &spec, &in);
	/* Deleted this moment: nothing to see. */
	if (rc == -ENOENT) {
		xlrbd__begin(ctx);
		return 0;
	}
	if (rc < 0)
		return rc;
	names = list_namespaces(ceph, &size);
	rc = fn(data, &spec);
	for (at = 0; !rc && at < size; at += strlen(spec.ns) + 1) {
		spec.ns = names + at;
		if (*spec.ns)
			rc = fn(data, &spec);
	}
	free(names);
	return rc;
}

int xlrbd__ceph_each_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  xlrbd__pool_fn *fn, void *data)
{
	char *names = list_pools(ceph);
	char *name;
	int rc = 0;

	if (!names)
		return xlrbd__fail_nomem(ctx);
	for (name = names; !rc && *name; name += strlen(name) + 1)
		rc = visit_pool(ctx, ceph, name, fn, data);
	free(names);
	return rc;
}
