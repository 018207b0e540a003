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

/* Of an add that was killed between mapping and recording it. */
static int find_lost_map(struct attach *a)
{
	struct xlrbd__record other;
	struct xlrbd__vbd *vbds;
	size_t i, n, n_claimed = 0;
	int *claimed;
	int rc;

	if (!a->record.line || a->record.device.id >= 0)
		return 0;
	rc = xlrbd__run_list(a->ctx, &vbds, &n);
	if (rc < 0)
		return rc;
	claimed = calloc(n + 1, sizeof(*claimed));
	for (i = 0; claimed && i < n; i++) {
		if (xlrbd__run_read(a->ctx, &vbds[i], &other) < 0)
			continue;
		claimed[n_claimed++] = other.device.id;
		xlrbd__record_dispose(&other);
	}
	rc = claimed ? xlrbd__krbd_find_lost(&a->record.image, a->record.line,
					     claimed, n_claimed,
					     &a->record.device) :
		       xlrbd__fail_nomem(a->ctx);
	free(claimed);
	free(vbds);
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
		rc = find_lost_map(a);
	if (!rc)
		rc = xlrbd__krbd_unmap(a->ctx, image, &a->record.device,
				       a->what, &a->work);
	if (rc < 0)
		return rc;
	forget_map(&a->record);
	rc = xlrbd__ceph_connect(a->ctx, &a->record.spec, &a->end, &a->ceph);
	if (!rc)
		rc = xlrbd__ceph_open_pool(a->ctx, a->ceph, image);
	if (!rc)
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

int xlrbd_vbd_remove(struct xlrbd_ctx *ctx, const char *path)
{
	xlrbd__begin(ctx);
	return xlrbd__vbd_undo(ctx, path);
}

int xlrbd__vbd_undo(struct xlrbd_ctx *ctx, const char *path)
{
	struct attach a;
	int rc;

	rc = xlrbd__attach_begin(&a, ctx, path);
	if (rc < 0)
		goto out;
	rc = xlrbd__run_read(ctx, &a.vbd, &a.record);
	if (rc == -ENOENT) {
		/*
		 * Never added, or its add failed and undid itself, or was
		 * killed while it wrote the record.
		 */
		rc = xlrbd__run_delete(ctx, &a.vbd);
		goto out;
	}
	if (!rc)
		rc = undo_recorded(&a, true);
	if (!rc)
		xlrbd__log(ctx, LOG_INFO, "%s: detached from domain %u",
			   a.what, a.vbd.domid);
out:
	xlrbd__attach_end(&a);
	return rc;
}
