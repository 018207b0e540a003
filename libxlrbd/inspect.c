// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The story of a disk, before it is attached: what the target means, and which
 * image that is; one that is not there yet may be made.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "attach.h"

/* Joins what xl's access= says with what the target says. */
static int resolve_mode(struct attach *a)
{
	struct xlrbd_spec *spec = &a->record.spec;

	if (!spec->mode)
		spec->mode = a->vbd.writable ? XLRBD_MODE_W : XLRBD_MODE_R;
	if (spec->snap && a->vbd.writable)
		return xlrbd__fail(a->ctx, -EROFS,
				   "%s: a snapshot cannot be written to; add access=ro to the disk",
				   a->what);
	if (xlrbd__mode_writes(spec->mode) == a->vbd.writable)
		return 0;
	return xlrbd__fail(a->ctx, -EINVAL,
			   "%s: mode=%s in target does not go with access=%s of the disk",
			   a->what, xlrbd_mode_name(spec->mode),
			   a->vbd.writable ? "rw" : "ro");
}

static int set_what(struct attach *a)
{
	const struct xlrbd_spec *spec = &a->record.spec;

	return xlrbd__attach_set_what(a, spec->pool ? spec->pool :
				      XLRBD__DEFAULT_POOL, spec->ns,
				      spec->image, spec->snap);
}

static int understand(struct attach *a)
{
	struct xlrbd_spec *spec = &a->record.spec;
	int rc;

	rc = xlrbd_spec_parse(a->ctx, a->vbd.params, spec);
	if (!rc)
		rc = xlrbd_spec_set_defaults(a->ctx, spec);
	if (rc < 0)
		return rc;
	xlrbd__attach_set_deadlines(a, spec->timeout_s);
	if (!spec->image)
		rc = xlrbd__name_after_domain(a->ctx, &a->vbd, &spec->image,
					      &a->short_name);
	if (!rc)
		rc = set_what(a);
	return rc < 0 ? rc : resolve_mode(a);
}

/* An image named after the domain: which of the two names has it? */
static int choose_name(struct attach *a)
{
	struct xlrbd_spec *spec = &a->record.spec;
	int full, brief;

	full = xlrbd__ceph_image_exists(a->ctx, a->ceph, spec, spec->image);
	if (full < 0)
		return full;
	brief = xlrbd__ceph_image_exists(a->ctx, a->ceph, spec,
					 a->short_name);
	if (brief <= 0)
		return brief;
	if (full)
		return xlrbd__fail(a->ctx, -EEXIST,
				   "target: no image name, and there are both %s and %s; name the image",
				   a->what, a->short_name);
	free(spec->image);
	spec->image = a->short_name;
	a->short_name = NULL;
	return set_what(a);
}

static int make_image(struct attach *a)
{
	int rc;

	if (a->only_look) {
		rc = xlrbd__ceph_enter(a->ctx, a->ceph, &a->record.spec,
				       &a->record.image);
		a->record.image.data_pool_id = -1;
		return rc;
	}
	if (a->must_exist)
		return xlrbd__fail(a->ctx, -ENOENT,
				   "%s: is not there as it is where the domain comes from; compare ceph.conf and xlrbd.conf of both hosts",
				   a->what);
	rc = xlrbd__clone_make(a->ctx, a->ceph, &a->record.spec, a->what,
			       &a->work);
	if (!rc)
		rc = xlrbd__ceph_open_image(a->ctx, a->ceph, &a->record.spec,
					    a->what, &a->record.image);
	a->made = !rc;
	return rc;
}

static int open_image(struct attach *a);

/* An ephemeral image that is there already and held by nobody is of a crash. */
static int freshen_image(struct attach *a)
{
	const struct xlrbd__image *image = &a->record.image;
	int rc;

	/* Of its last life, whose remove did not come to its end. */
	rc = xlrbd__gc_records(a->ctx, a->store, image, &a->work);
	if (rc > 0)
		return open_image(a);
	if (!rc)
		rc = xlrbd__gc_entries(a->ctx, a->store, a->ceph, image,
				       a->what);
	if (rc >= 0)
		rc = xlrbd__clone_drop(a->ctx, a->ceph, image, NULL, a->what);
	return rc > 0 ? make_image(a) : rc;
}

/* Opens the image, after having made it if need be. */
static int open_image(struct attach *a)
{
	struct xlrbd_spec *spec = &a->record.spec;
	int rc = 1;

	if (spec->base)
		rc = xlrbd__ceph_image_exists(a->ctx, a->ceph, spec,
					      spec->image);
	if (!rc)
		return make_image(a);
	if (rc > 0)
		rc = xlrbd__ceph_open_image(a->ctx, a->ceph, spec, a->what,
					    &a->record.image);
	if (!rc)
		rc = xlrbd__clone_is_being_made(a->ctx, a->ceph, spec,
						a->what);
	if (rc > 0 && !spec->base)
		return xlrbd__fail(a->ctx, -EBUSY,
				   "%s: is half made: a clone that goes on, or was interrupted; attach it with the clone= that it was begun with",
				   a->what);
	if (rc > 0)
		return make_image(a);
	return !rc && spec->ephemeral && !a->only_look ? freshen_image(a) : rc;
}

/* Connects, and finds out whether this image can be had on this host. */
static int look_up(struct attach *a)
{
	struct xlrbd__image *image = &a->record.image;
	int rc;

	rc = xlrbd__ceph_connect(a->ctx, &a->record.spec, &a->work, &a->ceph);
	if (!rc && a->short_name)
		rc = choose_name(a);
	if (!rc)
		rc = open_image(a);
	if (!rc)
		rc = xlrbd__krbd_check(a->ctx, image, !a->vbd.writable,
				       a->what);
	if (!rc && a->vbd.writable)
		rc = xlrbd__pool_check_full(a->ctx, a->ceph, image);
	return rc;
}

int xlrbd__attach_describe(struct attach *a, const char *domain,
			   const struct xlrbd_disk *disk)
{
	struct xlrbd__vbd *vbd = &a->vbd;

	vbd->params = strdup(disk->target);
	vbd->writable = disk->writable;
	snprintf(vbd->domain, sizeof(vbd->domain), "%s", domain);
	snprintf(vbd->vdev, sizeof(vbd->vdev), "%s", disk->vdev);
	return vbd->params ? 0 : xlrbd__fail_nomem(a->ctx);
}

int xlrbd__attach_inspect(struct attach *a)
{
	int rc;

	rc = understand(a);
	if (!rc)
		rc = look_up(a);
	/* Nobody else would delete what was made for this attach only. */
	if (rc < 0 && a->made && a->record.spec.ephemeral &&
	    xlrbd__clone_drop(a->ctx, a->ceph, &a->record.image, NULL,
			      a->what) < 0)
		xlrbd__log(a->ctx, LOG_WARNING,
			   "%s: the ephemeral image of a failed attach stays",
			   a->what);
	return rc;
}

int xlrbd_disk_check(struct xlrbd_ctx *ctx, const char *domain,
		     const struct xlrbd_disk *disk)
{
	struct attach a = {
		.ctx = ctx, .only_look = true, .vbd_lock = -1, .image_lock = -1,
		/* It has none yet, but it is not domain 0. */
		.vbd = { .domid = UINT_MAX },
		.record = { .device = XLRBD__DEVICE_INIT },
		.begun_ms = xlrbd__now_ms(),
	};
	int rc;

	xlrbd__begin(ctx);
	xlrbd__attach_set_deadlines(&a, 0);
	rc = xlrbd__attach_describe(&a, domain, disk);
	if (!rc)
		rc = xlrbd__attach_inspect(&a);
	xlrbd__attach_end(&a);
	return rc;
}
