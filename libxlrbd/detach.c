// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The story of a disk, second half: undoing.
 *
 * libxl runs remove when blkback says that it has closed the disk; it ignores
 * what remove returns and never calls it again (xen: libxl_device.c).  So all
 * that is needed is on record on this host, and stays there until it is done.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "attach.h"

/* It is unmapped: nobody shall look for it again. */
static void forget_map(struct xlrbd__record *record)
{
	free(record->line);
	record->line = NULL;
	record->device.id = -1;
}

int xlrbd__attach_undo(struct attach *a)
{
	struct xlrbd__record *record = &a->record;
	int unmapped, withdrawn;

	unmapped = xlrbd__krbd_unmap(a->ctx, &record->image, &record->device,
				     a->what, &a->end);
	/* While it is mapped the entry must say so. */
	if (unmapped < 0)
		return unmapped;
	forget_map(record);
	xlrbd__ceph_until(a->ceph, &a->end);
	if (record->spec.ephemeral && (record->lock.pending[0] ||
				       record->lock.held[0]) &&
	    xlrbd__clone_drop(a->ctx, a->ceph, &record->image, &record->lock,
			      a->what) < 0)
		xlrbd__log(a->ctx, LOG_WARNING,
			   "%s: the ephemeral image of a failed attach stays",
			   a->what);
	withdrawn = xlrbd__lock_withdraw(a->ctx, a->ceph, &record->image,
					 &record->lock, a->what);
	if (withdrawn < 0)
		return withdrawn;
	return a->recorded ? xlrbd__run_delete(a->ctx, &a->vbd) : 0;
}

void xlrbd__attach_keep_rest(struct attach *a)
{
	if (xlrbd__run_write(a->ctx, &a->vbd, &a->record) < 0)
		xlrbd__log(a->ctx, LOG_ERR, "%s: record lost", a->what);
	xlrbd__log(a->ctx, LOG_ERR, "%s: not everything was undone; it is recorded in " XLRBD_RUN_DIR "/vbd-%u-%u",
		   a->what, a->vbd.domid, a->vbd.devid);
}

/* What other vbds have on record. */
struct claims {
	int *ids;
	size_t n;
	bool newer;		/* one of them has our id, since later */
};

static int list_claims(struct attach *a, struct claims *claims)
{
	const struct xlrbd__device *ours = &a->record.device;
	struct xlrbd__record other;
	struct xlrbd__vbd *vbds;
	size_t i, n;
	int rc;

	memset(claims, 0, sizeof(*claims));
	rc = xlrbd__run_list(a->ctx, &vbds, &n);
	if (rc < 0) {
		free(vbds);
		return rc;
	}
	claims->ids = calloc(n + 1, sizeof(*claims->ids));
	for (i = 0; claims->ids && i < n; i++) {
		if (vbds[i].domid == a->vbd.domid &&
		    vbds[i].devid == a->vbd.devid)
			continue;
		if (xlrbd__run_read(a->ctx, &vbds[i], &other) < 0)
			continue;
		claims->ids[claims->n++] = other.device.id;
		if (other.device.id == ours->id &&
		    other.device.since > ours->since)
			claims->newer = true;
		xlrbd__record_dispose(&other);
	}
	free(vbds);
	return claims->ids ? 0 : xlrbd__fail_nomem(a->ctx);
}

/*
 * Which device is it?  An add that was killed between mapping and recording it
 * has left one without its number.  And after an unmap that the kernel finished
 * when nobody waited any more, the number may be another vbd's by now.
 */
static int find_device(struct attach *a)
{
	struct xlrbd__device *device = &a->record.device;
	struct claims claims;
	int rc;

	if (!a->record.line)
		return 0;
	rc = list_claims(a, &claims);
	if (rc < 0)
		return rc;
	if (device->id < 0)
		rc = xlrbd__krbd_find_lost(&a->record.image, a->record.line,
					   claims.ids, claims.n, device);
	else if (claims.newer)
		forget_map(&a->record);
	free(claims.ids);
	return rc == -ENOENT ? 0 : rc;
}

/* With the record read: unmaps, withdraws, forgets. */
static int undo_recorded(struct attach *a, bool wait_for_blkback)
{
	struct xlrbd__image *image = &a->record.image;
	int rc;

	a->recorded = true;
	xlrbd__attach_set_deadlines(a, a->record.spec.timeout_s);
	rc = xlrbd__attach_set_what(a, image->pool, image->ns, image->name,
				    image->snap);
	if (!rc && wait_for_blkback)
		rc = xlrbd__blkback_wait_gone(a->ctx, a->store, &a->vbd,
					      &a->work);
	if (!rc)
		rc = xlrbd__run_lock_image(a->ctx, image, &a->work,
					   &a->image_lock);
	if (!rc)
		rc = find_device(a);
	if (!rc)
		rc = xlrbd__krbd_unmap(a->ctx, image, &a->record.device,
				       a->what, &a->work);
	if (rc < 0)
		return rc;
	forget_map(&a->record);
	rc = xlrbd__ceph_connect(a->ctx, &a->record.spec, &a->end, &a->ceph);
	if (!rc)
		rc = xlrbd__ceph_open_pool(a->ctx, a->ceph, image);
	if (!rc && a->record.spec.ephemeral)
		rc = xlrbd__clone_drop(a->ctx, a->ceph, image, &a->record.lock,
				       a->what);
	if (rc >= 0)
		rc = xlrbd__lock_withdraw(a->ctx, a->ceph, image,
					  &a->record.lock, a->what);
	if (rc < 0) {
		xlrbd__attach_keep_rest(a);
		return rc;
	}
	return xlrbd__run_delete(a->ctx, &a->vbd);
}

/* blkback is there already, but waits for us: it cannot have it open. */
int xlrbd__attach_clear_leftover(struct attach *a)
{
	int rc = xlrbd__run_read(a->ctx, &a->vbd, &a->record);

	if (!rc)
		rc = undo_recorded(a, false);
	if (rc == -ENOENT && !a->recorded)
		rc = 0;
	xlrbd__ceph_close(a->ctx, a->ceph);
	xlrbd__run_unlock(a->image_lock);
	xlrbd__record_dispose(&a->record);
	a->ceph = NULL;
	a->image_lock = -1;
	a->record.device.id = -1;
	a->recorded = false;
	return rc;
}

/* Returns more than 0 if there was something to undo. */
static int undo(struct attach *a)
{
	int rc = xlrbd__run_read(a->ctx, &a->vbd, &a->record);

	/*
	 * Never added, or its add failed and undid itself, or was killed while
	 * it wrote the record.
	 */
	if (rc == -ENOENT)
		return xlrbd__run_delete(a->ctx, &a->vbd);
	if (!rc)
		rc = undo_recorded(a, true);
	return rc < 0 ? rc : 1;
}

int xlrbd_vbd_remove(struct xlrbd_ctx *ctx, const char *path)
{
	struct attach a;
	int rc;

	xlrbd__begin(ctx);
	rc = xlrbd__attach_begin(&a, ctx, path, NULL);
	if (!rc)
		rc = undo(&a);
	if (rc > 0)
		xlrbd__log(ctx, LOG_INFO, "%s: detached from domain %u",
			   a.what, a.vbd.domid);
	xlrbd__attach_end(&a);
	return rc < 0 ? rc : 0;
}

int xlrbd__vbd_undo_lost(struct xlrbd_ctx *ctx, const char *path,
			 bool even_awaited,
			 const struct xlrbd__deadline *limit)
{
	struct attach a;
	int rc;

	rc = xlrbd__attach_begin(&a, ctx, path, limit);
	/* Looked at while no helper can be about to make it live again. */
	if (!rc && !xlrbd__store_vbd_exists(a.store, &a.vbd) &&
	    (even_awaited || !xlrbd__arrival_awaits(ctx, &a.vbd)))
		rc = undo(&a);
	if (rc > 0)
		xlrbd__log(ctx, LOG_NOTICE, "cleaned up %s (%s): the disk was gone",
			   path, a.what);
	xlrbd__attach_end(&a);
	return rc;
}
