// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The story of a disk: add and remove.
 *
 * libxl runs add when blkback waits for a device, and remove when it has
 * closed it; it ignores what remove returns and never calls it again (xen:
 * libxl_device.c).  So add undoes what it did when it fails, and remove finds
 * everything it needs in this host's record.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "internal.h"

/* Kept back from the deadline of add, for undoing. */
#define UNDO_MS		6000

/* One add or remove on its way.  What is NULL, -1 or empty was not reached. */
struct attach {
	struct xlrbd_ctx *ctx;
	struct xlrbd__deadline work, end;
	struct xlrbd__vbd vbd;
	struct xlrbd__store *store;
	struct xlrbd__ceph *ceph;
	struct xlrbd__record record;
	struct xlrbd__cookie me;
	bool recorded;
	int vbd_lock, image_lock;
	char *what;		/* "rbd/web1", for messages */
};

static void set_deadlines(struct attach *a, unsigned int timeout_s)
{
	int64_t ms = (timeout_s ? timeout_s : XLRBD_TIMEOUT_DEFAULT) * 1000;

	xlrbd__deadline_set(&a->end, ms);
	xlrbd__deadline_set(&a->work, ms - UNDO_MS);
}

static int begin(struct attach *a, struct xlrbd_ctx *ctx, const char *path)
{
	int rc;

	memset(a, 0, sizeof(*a));
	a->ctx = ctx;
	a->vbd_lock = a->image_lock = -1;
	a->record.device.id = -1;
	set_deadlines(a, 0);
	rc = xlrbd__vbd_parse_path(ctx, path, &a->vbd);
	if (!rc)
		rc = xlrbd__store_open(ctx, &a->store);
	if (!rc)
		rc = xlrbd__run_lock_vbd(ctx, &a->vbd, &a->work,
					 &a->vbd_lock);
	return rc;
}

static void end(struct attach *a)
{
	xlrbd__ceph_close(a->ctx, a->ceph);
	xlrbd__run_unlock(a->image_lock);
	xlrbd__run_unlock(a->vbd_lock);
	xlrbd__store_close(a->store);
	xlrbd__record_dispose(&a->record);
	xlrbd__vbd_dispose(&a->vbd);
	free(a->what);
}

static int set_what(struct attach *a, const char *pool, const char *ns,
		    const char *image, const char *snap)
{
	struct xlrbd_spec spec = {
		.pool = (char *)pool, .ns = ns && *ns ? (char *)ns : NULL,
		.image = (char *)image,
		.snap = snap && *snap ? (char *)snap : NULL,
	};

	free(a->what);
	a->what = xlrbd__spec_name(&spec);
	return a->what ? 0 : xlrbd__fail_nomem(a->ctx);
}

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

static int understand(struct attach *a)
{
	struct xlrbd_spec *spec = &a->record.spec;
	int rc;

	rc = xlrbd_spec_parse(a->ctx, a->vbd.params, spec);
	if (rc < 0)
		return rc;
	set_deadlines(a, spec->timeout_s);
	rc = set_what(a, spec->pool ? spec->pool : XLRBD__DEFAULT_POOL,
		      spec->ns, spec->image, spec->snap);
	return rc < 0 ? rc : resolve_mode(a);
}

/* Connects, and finds out whether this image can be had on this host. */
static int inspect(struct attach *a)
{
	struct xlrbd__image *image = &a->record.image;
	int rc;

	rc = xlrbd__ceph_connect(a->ctx, &a->record.spec, &a->work, &a->ceph);
	if (!rc)
		rc = xlrbd__ceph_open_image(a->ctx, a->ceph, &a->record.spec,
					    a->what, image);
	if (!rc)
		rc = xlrbd__krbd_check(a->ctx, image, !a->vbd.writable,
				       a->what);
	if (!rc && a->vbd.writable)
		rc = xlrbd__pool_check_full(a->ctx, a->ceph, image);
	return rc;
}

static int record(struct attach *a)
{
	int rc = xlrbd__run_write(a->ctx, &a->vbd, &a->record);

	if (!rc)
		a->recorded = true;
	return rc;
}

static int fill_cookie(struct attach *a)
{
	struct xlrbd__cookie *me = &a->me;

	me->mode = a->record.spec.mode;
	me->domid = a->vbd.domid;
	me->devid = a->vbd.devid;
	me->time = time(NULL);
	memcpy(me->uuid, a->vbd.uuid, sizeof(me->uuid));
	memcpy(me->domain, a->vbd.domain, sizeof(me->domain));
	memcpy(me->snap, a->record.image.snap, sizeof(me->snap));
	return xlrbd__host_read(a->ctx, &me->host);
}

/*
 * Registers.  The record comes first: whoever finds it after a crash looks
 * for an entry that may not be there, never the other way round.
 */
static int acquire(struct attach *a)
{
	struct xlrbd__image *image = &a->record.image;
	struct xlrbd__lock *lock = &a->record.lock;
	int rc;

	rc = fill_cookie(a);
	if (!rc)
		rc = xlrbd__run_lock_image(a->ctx, image, &a->work,
					   &a->image_lock);
	if (rc < 0)
		return rc;
	xlrbd__lock_prepare(lock, a->ceph, image, &a->me);
	rc = record(a);
	if (rc < 0) {
		lock->pending[0] = '\0';
		return rc;
	}
	return xlrbd__lock_register(a->ctx, a->ceph, image, &a->me, a->what,
				    &a->work, lock);
}

static int map(struct attach *a)
{
	struct xlrbd__device *device = &a->record.device;
	struct xlrbd__access access;
	int rc;

	rc = xlrbd__access_find(a->ctx, a->ceph, &a->record.spec, &access);
	if (rc < 0)
		return rc;
	/* On record before it is done, for whoever comes after a crash. */
	a->record.line = xlrbd__krbd_line(&a->record.image, &access,
					  a->record.spec.map_options,
					  !a->vbd.writable);
	rc = a->record.line ? record(a) : xlrbd__fail_nomem(a->ctx);
	if (!rc)
		rc = xlrbd__krbd_map(a->ctx, &a->record.image, &access,
				     a->record.line, a->what, &a->work,
				     device);
	xlrbd__access_wipe(&access);
	return rc;
}

static int hold(struct attach *a)
{
	struct xlrbd__cookie *me = &a->me;
	int rc;

	me->held = true;
	memcpy(me->addr, a->record.device.client_addr, sizeof(me->addr));
	xlrbd__lock_prepare_held(&a->record.lock, me);
	/* The device, and the entry that is to come. */
	rc = record(a);
	if (rc < 0) {
		a->record.lock.held[0] = '\0';
		return rc;
	}
	return xlrbd__lock_promote(a->ctx, a->ceph, &a->record.image, a->what,
				   &a->record.lock);
}

/* It is unmapped: nobody shall look for it again. */
static void forget_map(struct xlrbd__record *record)
{
	free(record->line);
	record->line = NULL;
	record->device.id = -1;
}

/*
 * Takes back what the record says, as far as that goes; the record itself
 * goes when nothing is left that it would have to remember.
 */
static int undo(struct attach *a)
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

/* Remembers, for the next try, what of the record is left. */
static void keep_rest(struct attach *a)
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
	set_deadlines(a, a->record.spec.timeout_s);
	rc = set_what(a, image->pool, image->ns, image->name, image->snap);
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
		keep_rest(a);
		return rc;
	}
	return xlrbd__run_delete(a->ctx, &a->vbd);
}

/*
 * What an earlier add of this very vbd left when it was killed.  blkback is
 * there already, but waits for us: it cannot have the device open.
 */
static int clear_leftover(struct attach *a)
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

/*
 * Somebody holds the image: is it this host itself, by something it left
 * behind?  Then that goes, and we try once more.
 */
static int acquire_after_cleaning(struct attach *a)
{
	struct xlrbd__image *image = &a->record.image;
	int records, entries, rc;

	rc = acquire(a);
	if (rc != -EBUSY)
		return rc;
	if (xlrbd__lock_withdraw(a->ctx, a->ceph, image, &a->record.lock,
				 a->what) < 0)
		return rc;
	/* Undoing a record takes the image's lock. */
	xlrbd__run_unlock(a->image_lock);
	a->image_lock = -1;
	records = xlrbd__gc_records(a->ctx, a->store, image);
	entries = xlrbd__gc_entries(a->ctx, a->store, a->ceph, image,
				    a->what);
	if (records <= 0 && entries <= 0)
		return rc;
	xlrbd__begin(a->ctx);
	return acquire(a);
}

int xlrbd_vbd_add(struct xlrbd_ctx *ctx, const char *path)
{
	struct attach a;
	int rc;

	xlrbd__begin(ctx);
	rc = begin(&a, ctx, path);
	if (!rc)
		rc = xlrbd__store_read_vbd(ctx, a.store, &a.vbd);
	if (rc < 0 || a.vbd.published)
		goto out;
	rc = clear_leftover(&a);
	if (!rc)
		rc = understand(&a);
	if (!rc)
		rc = inspect(&a);
	if (rc < 0)
		goto out;
	rc = acquire_after_cleaning(&a);
	if (!rc)
		rc = map(&a);
	if (!rc)
		rc = hold(&a);
	if (!rc)
		rc = xlrbd__store_publish(ctx, a.store, &a.vbd,
					  &a.record.device, &a.work);
	if (!rc)
		xlrbd__log(ctx, LOG_INFO,
			   "%s: attached to domain %s (%s) as /dev/rbd%d, mode %s",
			   a.what, a.vbd.domain, a.vbd.uuid,
			   a.record.device.id,
			   xlrbd_mode_name(a.record.spec.mode));
	else if (undo(&a) < 0)
		keep_rest(&a);
out:
	end(&a);
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

	rc = begin(&a, ctx, path);
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
	end(&a);
	return rc;
}

int xlrbd_vbd_report(struct xlrbd_ctx *ctx, const char *path,
		     const char *message)
{
	struct xlrbd__store *store;
	struct xlrbd__vbd vbd;
	int rc;

	rc = xlrbd__vbd_parse_path(ctx, path, &vbd);
	if (!rc)
		rc = xlrbd__store_open(ctx, &store);
	if (rc < 0)
		return rc;
	rc = xlrbd__store_report(ctx, store, &vbd, message);
	xlrbd__store_close(store);
	return rc;
}
