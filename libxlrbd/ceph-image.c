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

int xlrbd__ceph_name_leads_to(struct xlrbd__ceph *ceph, const char *name,
			      const char *id)
{
	struct xlrbd__image image;
	int r;

	snprintf(image.name, sizeof(image.name), "%s", name);
	r = read_id(ceph, &image);
	return r < 0 ? r : !strcmp(image.id, id);
}

int xlrbd__ceph_image_still(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			    const struct xlrbd__image *image, const char *what)
{
	int r = xlrbd__ceph_name_leads_to(ceph, image->name, image->id);

	if (r < 0 && r != -ENOENT)
		return xlrbd__ceph_fail(ctx, ceph, r, "look for", what);
	if (r > 0)
		return 0;
	return xlrbd__fail(ctx, -ENOENT,
			   "%s: has been deleted at this moment, and perhaps made again; try again",
			   what);
}

int xlrbd__ceph_image_exists(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			     const struct xlrbd_spec *spec, const char *name)
{
	struct xlrbd__image image;
	int r;

	memset(&image, 0, sizeof(image));
	snprintf(image.name, sizeof(image.name), "%s", name);
	r = xlrbd__ceph_enter(ctx, ceph, spec, &image);
	if (r < 0)
		return r;
	r = read_id(ceph, &image);
	if (r < 0 && r != -ENOENT)
		return xlrbd__ceph_fail(ctx, ceph, r, "look for", name);
	return !r;
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
	static const char head[] = "\xfe\xff\xff\xff\xff\xff\xff\xff\x01";
	rados_read_op_t op = rados_create_read_op();
	char *features = NULL, *pool = NULL, *size = NULL;
	size_t features_len = 0, pool_len = 0, size_len = 0;
	int features_rc = 0, pool_rc = 0, size_rc = 0;
	char header[80];
	int r;

	snprintf(header, sizeof(header), "rbd_header.%s", image->id);
	rados_read_op_exec(op, "rbd", "get_features", head, sizeof(head) - 1,
			   &features, &features_len, &features_rc);
	rados_read_op_exec(op, "rbd", "get_data_pool", NULL, 0, &pool,
			   &pool_len, &pool_rc);
	rados_read_op_exec(op, "rbd", "get_size", head, 8, &size, &size_len,
			   &size_rc);
	xlrbd__ceph_arm(ceph);
	r = rados_read_op_operate(op, ceph->io, header,
				  LIBRADOS_OPERATION_NOFLAG);
	/* The order of the objects' size comes first, in one byte. */
	if (!r && (features_len < 8 || pool_len < 8 || size_len < 9))
		r = -EPROTO;
	if (!r) {
		image->features = get_le64(features);
		image->data_pool_id = (int64_t)get_le64(pool);
		image->size = get_le64(size + 1);
	}
	rados_buffer_free(features);
	rados_buffer_free(pool);
	rados_buffer_free(size);
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
	rc = xlrbd__ceph_enter(ctx, ceph, spec, image_out);
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

int xlrbd__ceph_describe(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 struct xlrbd__image *image, const char *what)
{
	int r = read_header(ceph, image);

	return r < 0 && r != -ENOENT ?
	       xlrbd__ceph_fail(ctx, ceph, r, "read the header of", what) : r;
}

static int copy_watchers(const rbd_image_watcher_t *from, size_t n,
			 struct xlrbd__watchers *watchers)
{
	watchers->v = calloc(n + 1, sizeof(*watchers->v));
	if (!watchers->v)
		return -ENOMEM;
	for (; watchers->n < n; watchers->n++) {
		watchers->v[watchers->n] = strdup(from[watchers->n].addr);
		if (!watchers->v[watchers->n])
			return -ENOMEM;
	}
	return 0;
}

static int list_watchers(rbd_image_t rbd, struct xlrbd__watchers *watchers)
{
	rbd_image_watcher_t *list = NULL, *more;
	size_t n = 16;
	int r;

	do {
		more = realloc(list, n * sizeof(*list));
		if (!more) {
			free(list);
			return -ENOMEM;
		}
		list = more;
		r = rbd_watchers_list(rbd, list, &n);
		/* n now says how many there are. */
	} while (r == -ERANGE);
	if (!r) {
		r = copy_watchers(list, n, watchers);
		rbd_watchers_list_cleanup(list, n);
	}
	free(list);
	return r;
}

int xlrbd__ceph_watchers(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image, const char *what,
			 struct xlrbd__watchers *watchers_out)
{
	rbd_image_t rbd;
	int r;

	memset(watchers_out, 0, sizeof(*watchers_out));
	xlrbd__ceph_arm(ceph);
	r = rbd_open_by_id_read_only(ceph->io, image->id, &rbd, NULL);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "open", what);
	r = list_watchers(rbd, watchers_out);
	rbd_close(rbd);
	if (!r)
		return 0;
	xlrbd__watchers_dispose(watchers_out);
	return xlrbd__ceph_fail(ctx, ceph, r, "list watchers of", what);
}
