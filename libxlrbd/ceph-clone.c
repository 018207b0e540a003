// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Making images out of a snapshot, and deleting them.
 */
#include "config.h"

#include <errno.h>
#include <rbd/librbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ceph.h"

/* Kept with the image; see clone.c for what it is worth. */
#define MARK	"xlrbd.clone"
/* The lock on the note that an image is being made. */
#define NOTE_LOCK "xlrbd"
/* The note has our time, the image its OSD's. */
#define CLOCK_SKEW_S	30

static void note_of(const char *name, char out[600])
{
	snprintf(out, 600, "xlrbd_making.%s", name);
}

int xlrbd__ceph_note_lock(struct xlrbd__ceph *ceph, const char *name,
			  unsigned int seconds)
{
	struct timeval duration = { .tv_sec = seconds };
	char note[600];

	note_of(name, note);
	xlrbd__ceph_arm(ceph);
	return rados_lock_exclusive(ceph->io, note, NOTE_LOCK, "", "",
				    &duration, 0);
}

int xlrbd__ceph_note_write(struct xlrbd__ceph *ceph, const char *name,
			   const char *text)
{
	char note[600];

	note_of(name, note);
	xlrbd__ceph_arm(ceph);
	return rados_write_full(ceph->io, note, text, strlen(text));
}

int xlrbd__ceph_note_read(struct xlrbd__ceph *ceph, const char *name,
			  char *out, size_t size)
{
	char note[600];
	int r;

	note_of(name, note);
	xlrbd__ceph_arm(ceph);
	r = rados_read(ceph->io, note, out, size - 1, 0);
	out[r > 0 ? r : 0] = '\0';
	/* An empty one has been locked, not written. */
	return r == -ENOENT ? 0 : r < 0 ? r : r > 0;
}

int xlrbd__ceph_note_time(struct xlrbd__ceph *ceph, const char *name,
			  int64_t *time_out)
{
	uint64_t size;
	char note[600];
	time_t mtime;
	int r;

	note_of(name, note);
	xlrbd__ceph_arm(ceph);
	r = rados_stat(ceph->io, note, &size, &mtime);
	*time_out = mtime;
	return r;
}

int xlrbd__ceph_note_unlock(struct xlrbd__ceph *ceph, const char *name)
{
	char note[600];

	note_of(name, note);
	xlrbd__ceph_arm(ceph);
	return rados_unlock(ceph->io, note, NOTE_LOCK, "");
}

int xlrbd__ceph_note_remove(struct xlrbd__ceph *ceph, const char *name)
{
	char note[600];
	int r;

	note_of(name, note);
	xlrbd__ceph_arm(ceph);
	r = rados_remove(ceph->io, note);
	return r == -ENOENT ? 0 : r;
}

/* What is known of a base once it is open. */
struct base {
	rados_ioctx_t io;
	uint64_t size, features;
	char data_pool[256];
};

static int inspect_base(struct xlrbd__ceph *ceph, rbd_image_t image,
			struct base *base)
{
	int64_t data_pool;
	int r;

	r = rbd_get_size(image, &base->size);
	if (!r)
		r = rbd_get_features(image, &base->features);
	if (r < 0)
		return r;
	data_pool = rbd_get_data_pool_id(image);
	if (data_pool >= 0 && data_pool != rados_ioctx_get_id(base->io))
		r = rados_pool_reverse_lookup(ceph->cluster, data_pool,
					      base->data_pool,
					      sizeof(base->data_pool));
	return r < 0 ? r : 0;
}

/* On failure too, base->io is to be destroyed if it is there. */
static int open_base(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		     const struct xlrbd_spec *spec, const char *name,
		     struct base *base)
{
	rbd_image_t image;
	int r;

	xlrbd__ceph_arm(ceph);
	r = rados_ioctx_create(ceph->cluster, spec->pool, &base->io);
	if (r < 0)
		return xlrbd__fail(ctx, r, "clone=%s: open pool %s: %s", name,
				   spec->pool, strerror(-r));
	rados_ioctx_set_namespace(base->io, spec->ns ? spec->ns : "");
	r = rbd_open_read_only(base->io, spec->image, &image, spec->snap);
	if (r == -ENOENT)
		return xlrbd__fail(ctx, r,
				   "clone=%s: no such snapshot; see `rbd snap ls %s/%s%s%s`",
				   name, spec->pool, spec->ns ? spec->ns : "",
				   spec->ns ? "/" : "", spec->image);
	if (r == -EPERM || r == -EACCES)
		return xlrbd__fail(ctx, r,
				   "clone=%s: the caps of %s do not reach it; it needs osd 'profile rbd-read-only pool=%s' as well",
				   name, ceph->entity, spec->pool);
	if (!r) {
		r = inspect_base(ceph, image, base);
		rbd_close(image);
	}
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "open the base", name);
	return 0;
}

static int set_options(rbd_image_options_t options, const struct base *base)
{
	/* Of what the base has, all that the kernel could serve. */
	uint64_t features = (base->features & (RBD_FEATURE_EXCLUSIVE_LOCK |
					       RBD_FEATURE_OBJECT_MAP |
					       RBD_FEATURE_FAST_DIFF |
					       RBD_FEATURE_DEEP_FLATTEN)) |
			    RBD_FEATURE_LAYERING;
	int r;

	/* Needs no protected snapshot, and no setting of the cluster. */
	r = rbd_image_options_set_uint64(options,
					 RBD_IMAGE_OPTION_CLONE_FORMAT, 2);
	if (!r)
		r = rbd_image_options_set_uint64(options,
						 RBD_IMAGE_OPTION_FEATURES,
						 features);
	if (!r && base->data_pool[0])
		r = rbd_image_options_set_string(options,
						 RBD_IMAGE_OPTION_DATA_POOL,
						 base->data_pool);
	return r;
}

/* Grows it, and marks it as finished: the last step. */
static int finish(struct xlrbd__ceph *ceph, const char *name, uint64_t size,
		  const char *mark)
{
	char id[64], text[1200];
	rbd_image_t image;
	uint64_t now;
	int r;

	xlrbd__ceph_arm(ceph);
	r = rbd_open(ceph->io, name, &image, NULL);
	if (r < 0)
		return r;
	r = rbd_get_id(image, id, sizeof(id));
	if (!r)
		r = rbd_get_size(image, &now);
	if (!r && size > now)
		r = rbd_resize2(image, size, false, NULL, NULL);
	/* With its own id: a clone inherits what its base is marked with. */
	snprintf(text, sizeof(text), "%s %s", id, mark);
	if (!r)
		r = rbd_metadata_set(image, MARK, text);
	rbd_close(image);
	return r;
}

int xlrbd__ceph_clone(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *from, const char *from_name,
		      const char *name, uint64_t size, const char *mark)
{
	struct base base = { .io = NULL };
	rbd_image_options_t options;
	int rc, r;

	rc = open_base(ctx, ceph, from, from_name, &base);
	if (!rc && size && size < base.size)
		rc = xlrbd__fail(ctx, -EINVAL,
				 "clone=%s: size= is smaller than this base, which has %llu MB; leave it out, or name more",
				 from_name,
				 (unsigned long long)(base.size >> 20));
	if (!rc && !(base.features & RBD_FEATURE_LAYERING))
		rc = xlrbd__fail(ctx, -EOPNOTSUPP,
				 "clone=%s: this base has not the feature layering, so nothing can be cloned from it; copy it with `rbd deep cp` to one that has",
				 from_name);
	if (rc < 0)
		goto out;
	rbd_image_options_create(&options);
	r = set_options(options, &base);
	xlrbd__ceph_arm(ceph);
	if (!r)
		r = rbd_clone3(base.io, from->image, from->snap, ceph->io,
			       name, options);
	rbd_image_options_destroy(options);
	if (!r)
		r = finish(ceph, name, size, mark);
	if (r < 0)
		rc = xlrbd__ceph_fail(ctx, ceph, r, "clone", from_name);
out:
	if (base.io)
		rados_ioctx_destroy(base.io);
	return rc;
}

int xlrbd__ceph_clone_mark(struct xlrbd__ceph *ceph, const char *id,
			   char *out, size_t size)
{
	char text[1200];
	size_t length = sizeof(text) - 1, id_length = strlen(id);
	rbd_image_t image;
	int r;

	xlrbd__ceph_arm(ceph);
	r = rbd_open_by_id_read_only(ceph->io, id, &image, NULL);
	if (r < 0)
		return r;
	memset(text, 0, sizeof(text));
	r = rbd_metadata_get(image, MARK, text, &length);
	rbd_close(image);
	if (r < 0)
		return r;
	/* Inherited. */
	if (strncmp(text, id, id_length) != 0 || text[id_length] != ' ')
		return -ENOENT;
	snprintf(out, size, "%s", text + id_length + 1);
	return 0;
}

int xlrbd__ceph_grow(struct xlrbd__ceph *ceph, const char *id, uint64_t size)
{
	rbd_image_t image;
	int r;

	xlrbd__ceph_arm(ceph);
	r = rbd_open_by_id(ceph->io, id, &image, NULL);
	if (r < 0)
		return r;
	r = rbd_resize2(image, size, false, NULL, NULL);
	rbd_close(image);
	return r;
}

/* Somebody may have made one by hand since then. */
static int was_made(struct xlrbd__ceph *ceph, const char *name, int64_t since,
		    unsigned int seconds)
{
	struct timespec created;
	rbd_image_t image;
	int r;

	xlrbd__ceph_arm(ceph);
	r = rbd_open_read_only(ceph->io, name, &image, NULL);
	if (r < 0)
		return r;
	r = rbd_get_create_timestamp(image, &created);
	rbd_close(image);
	return r < 0 ? r : created.tv_sec >= since - CLOCK_SKEW_S &&
			   created.tv_sec <= since + seconds + CLOCK_SKEW_S;
}

int xlrbd__ceph_remove_made(struct xlrbd__ceph *ceph, const char *name,
			    int64_t since, unsigned int seconds)
{
	int r = was_made(ceph, name, since, seconds);

	if (!r)
		return -EEXIST;
	if (r > 0) {
		xlrbd__ceph_arm(ceph);
		r = rbd_remove(ceph->io, name);
		r = r < 0 ? r : 1;
	}
	return r == -ENOENT ? 0 : r;
}

/* What remove_trashed() takes. */
struct trashed {
	rados_ioctx_t io;
	char id[sizeof(((struct xlrbd__image *)NULL)->id)];
};

/* A request for each object; only these have a time limit. */
static int remove_trashed(const void *data)
{
	const struct trashed *image = data;

	return rbd_trash_remove(image->io, image->id, false);
}

/* The name is free at once, whatever time the rest takes. */
int xlrbd__ceph_trash_image(struct xlrbd__ceph *ceph, const char *name,
			    const char *id)
{
	struct trashed image = { .io = ceph->io };
	int r;

	snprintf(image.id, sizeof(image.id), "%s", id);
	/* Not its successor, if it has been in the trash since an earlier try. */
	r = xlrbd__ceph_name_leads_to(ceph, name, id);
	if (r > 0) {
		xlrbd__ceph_arm(ceph);
		r = rbd_trash_move(ceph->io, name, 0);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	r = xlrbd__ceph_in_time(ceph, remove_trashed, &image, sizeof(image));
	return r == -ENOENT ? 0 : r;
}
