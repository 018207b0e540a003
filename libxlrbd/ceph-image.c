// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Images: finding one and saying what it is.
 */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <rbd/librbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ceph.h"

static int open_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		     const struct xlrbd_spec *spec,
		     struct xlrbd__image *image)
{
	int r;

	rados_cluster_fsid(ceph->cluster, image->fsid, sizeof(image->fsid));
	snprintf(image->pool, sizeof(image->pool), "%s",
		 spec->pool ? spec->pool : XLRBD__DEFAULT_POOL);
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

/* -ENOENT has two causes, and the admin wants to know which. */
static int fail_no_image(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image, const char *what)
{
	bool exists = true;
	int r = 0;

	if (image->ns[0]) {
		rados_ioctx_set_namespace(ceph->io, "");
		r = rbd_namespace_exists(ceph->io, image->ns, &exists);
	}
	if (!r && !exists)
		return xlrbd__fail(ctx, -ENOENT,
				   "no namespace \"%s\" in pool %s; see `rbd namespace ls %s`",
				   image->ns, image->pool, image->pool);
	return xlrbd__fail(ctx, -ENOENT, "%s: no such image; see `rbd ls %s%s%s`",
			   what, image->pool, image->ns[0] ? "/" : "",
			   image->ns);
}

/* Little-endian integers, as cls_rbd takes and gives them. */
static uint64_t get_le64(const char *in)
{
	uint64_t value;

	memcpy(&value, in, sizeof(value));
	return le64toh(value);
}

/* "rbd_id.NAME" holds the id: its length in four bytes, then its text. */
static int read_id(struct xlrbd__ceph *ceph, struct xlrbd__image *image)
{
	char object[sizeof(image->name) + 16];
	char text[4 + sizeof(image->id)];
	uint32_t length;
	int r;

	snprintf(object, sizeof(object), "rbd_id.%s", image->name);
	xlrbd__ceph_arm(ceph);
	r = rados_read(ceph->io, object, text, sizeof(text), 0);
	if (r < 0)
		return r;
	memcpy(&length, text, sizeof(length));
	length = le32toh(length);
	if (r < 4 || length > (uint32_t)r - 4 || length >= sizeof(image->id))
		return -EPROTO;
	memcpy(image->id, text + 4, length);
	image->id[length] = '\0';
	return 0;
}

static bool is_format_1(struct xlrbd__ceph *ceph,
			const struct xlrbd__image *image)
{
	char object[sizeof(image->name) + 16];

	snprintf(object, sizeof(object), "%s.rbd", image->name);
	xlrbd__ceph_arm(ceph);
	return rados_stat(ceph->io, object, NULL, NULL) == 0;
}

/* One request for all that the header says (ceph: cls_rbd.cc). */
static int read_header(struct xlrbd__ceph *ceph, struct xlrbd__image *image)
{
	/* Of the head, CEPH_NOSNAP, and as one who only reads. */
	static const char head[] = "\xff\xff\xff\xff\xff\xff\xff\xff\x01";
	rados_read_op_t op = rados_create_read_op();
	char *features = NULL, *pool = NULL;
	size_t features_len = 0, pool_len = 0;
	int features_rc = 0, pool_rc = 0;
	char header[80];
	int r;

	snprintf(header, sizeof(header), "rbd_header.%s", image->id);
	rados_read_op_exec(op, "rbd", "get_features", head, sizeof(head) - 1,
			   &features, &features_len, &features_rc);
	rados_read_op_exec(op, "rbd", "get_data_pool", NULL, 0, &pool,
			   &pool_len, &pool_rc);
	xlrbd__ceph_arm(ceph);
	r = rados_read_op_operate(op, ceph->io, header,
				  LIBRADOS_OPERATION_NOFLAG);
	if (!r && (features_len < 8 || pool_len < 8))
		r = -EPROTO;
	if (!r) {
		image->features = get_le64(features);
		image->data_pool_id = (int64_t)get_le64(pool);
	}
	rados_buffer_free(features);
	rados_buffer_free(pool);
	rados_release_read_op(op);
	return r;
}

/*
 * As the kernel looks an image up (linux: rbd_dev_image_id(), rbd_dev_header_
 * info()), two requests in all: librbd takes ten times as long to open one,
 * and xl waits.  A snapshot is left for the kernel to find.
 */
int xlrbd__ceph_open_image(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd_spec *spec, const char *what,
			   struct xlrbd__image *image_out)
{
	int rc;

	memset(image_out, 0, sizeof(*image_out));
	snprintf(image_out->name, sizeof(image_out->name), "%s", spec->image);
	if (spec->snap)
		snprintf(image_out->snap, sizeof(image_out->snap), "%s",
			 spec->snap);
	rc = open_pool(ctx, ceph, spec, image_out);
	if (rc < 0)
		return rc;
	rc = read_id(ceph, image_out);
	if (!rc)
		rc = read_header(ceph, image_out);
	if (!rc)
		return 0;
	if (rc != -ENOENT)
		return xlrbd__ceph_fail(ctx, ceph, rc, "open", what);
	if (is_format_1(ceph, image_out))
		return xlrbd__fail(ctx, -EOPNOTSUPP,
				   "%s: format 1 image; copy it to format 2 with `rbd migration prepare` or `rbd cp`",
				   what);
	return fail_no_image(ctx, ceph, image_out, what);
}

#define WATCHERS_MAX 64

int xlrbd__ceph_is_watched(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd__image *image, const char *what,
			   const char *addr)
{
	rbd_image_watcher_t watchers[WATCHERS_MAX];
	size_t i, n = WATCHERS_MAX;
	bool found = false;
	rbd_image_t rbd;
	int r;

	xlrbd__ceph_arm(ceph);
	r = rbd_open_by_id_read_only(ceph->io, image->id, &rbd, NULL);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "open", what);
	r = rbd_watchers_list(rbd, watchers, &n);
	for (i = 0; !r && i < n; i++)
		found = found || !strcmp(watchers[i].addr, addr);
	if (!r)
		rbd_watchers_list_cleanup(watchers, n);
	rbd_close(rbd);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "list watchers of",
					what);
	return found;
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

int xlrbd__ceph_each_image(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd_spec *spec,
			   int (*fn)(void *data,
				     const struct xlrbd__image *image),
			   void *data)
{
	struct xlrbd__image image;
	rbd_image_spec_t *specs = NULL;
	size_t i, n = 0;
	int rc;

	memset(&image, 0, sizeof(image));
	rc = open_pool(ctx, ceph, spec, &image);
	if (!rc)
		rc = list_images(ctx, ceph, image.pool, &specs, &n);
	if (rc < 0)
		return rc;
	for (i = 0; !rc && i < n; i++) {
		snprintf(image.name, sizeof(image.name), "%s", specs[i].name);
		snprintf(image.id, sizeof(image.id), "%s", specs[i].id);
		/* Format 1 images have no id, and no entries of ours. */
		if (image.id[0])
			rc = fn(data, &image);
	}
	rbd_image_spec_list_cleanup(specs, n);
	free(specs);
	return rc;
}
