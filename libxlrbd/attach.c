// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The story of a disk, first half: add.
 *
 * libxl runs add when blkback waits for a device (xen: libxl_device.c).  When
 * add fails it is not called again, nor always is remove: so a failing add
 * undoes what it did.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "attach.h"

void xlrbd__attach_set_deadlines(struct attach *a, unsigned int timeout_s)
{
	int64_t ms = (timeout_s ? timeout_s : XLRBD_TIMEOUT_DEFAULT) * 1000 -
		     (xlrbd__now_ms() - a->begun_ms);
	int64_t reserve_ms = UNDO_MS;

	/* Whoever set the limit has a reserve of its own. */
	if (a->limit && xlrbd__deadline_left(a->limit) < ms) {
		ms = xlrbd__deadline_left(a->limit);
		reserve_ms = 0;
	}
	xlrbd__deadline_set(&a->end, ms);
	xlrbd__deadline_set(&a->work, ms - reserve_ms);
}

int xlrbd__attach_begin(struct attach *a, struct xlrbd_ctx *ctx,
			const char *path,
			const struct xlrbd__deadline *limit)
{
	int rc;

	memset(a, 0, sizeof(*a));
	a->ctx = ctx;
	a->limit = limit;
	a->begun_ms = xlrbd__now_ms();
	a->vbd_lock = a->image_lock = -1;
	a->record.device.id = -1;
	xlrbd__attach_set_deadlines(a, 0);
	rc = xlrbd__vbd_parse_path(ctx, path, &a->vbd);
	if (!rc)
		rc = xlrbd__store_open(ctx, &a->store);
	if (!rc)
		rc = xlrbd__run_lock_vbd(ctx, &a->vbd, &a->work,
					 &a->vbd_lock);
	return rc;
}

void xlrbd__attach_end(struct attach *a)
{
	xlrbd__ceph_close(a->ctx, a->ceph);
	xlrbd__run_unlock(a->image_lock);
	xlrbd__run_unlock(a->vbd_lock);
	xlrbd__store_close(a->store);
	xlrbd__record_dispose(&a->record);
	xlrbd__vbd_dispose(&a->vbd);
	free(a->what);
	free(a->short_name);
}

int xlrbd__attach_set_what(struct attach *a, const char *pool, const char *ns,
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
	me->target = a->vbd.target;
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
static int acquire(struct attach *a, const struct xlrbd__deadline *until)
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
				    until, lock);
}

static int map_with(struct attach *a, const struct xlrbd__access *access,
		    const char *options)
{
	int rc;

	free(a->record.line);
	a->record.line = xlrbd__krbd_line(&a->record.image, access, options,
					  !a->vbd.writable);
	if (!a->record.line)
		return xlrbd__fail_nomem(a->ctx);
	/* On record before it is done, for whoever comes after a crash. */
	rc = record(a);
	if (!rc)
		rc = xlrbd__krbd_map(a->ctx, &a->record.image, access,
				     a->record.line, a->what, &a->work,
				     &a->record.device);
	return rc;
}

/*
 * The client that this host's maps share has been fenced, and lives on as long
 * as one of them does: this map gets a client of its own.
 */
static int map_apart(struct attach *a, const struct xlrbd__access *access)
{
	const char *options = a->record.spec.map_options;
	char *apart;
	int rc;

	if (asprintf(&apart, "noshare%s%s", options ? "," : "",
		     options ? options : "") < 0)
		return xlrbd__fail_nomem(a->ctx);
	xlrbd__begin(a->ctx);
	xlrbd__log(a->ctx, LOG_WARNING,
		   "%s: this host's client was fenced by a takeover, its older maps are dead: mapping with a client of its own; `block-rbd gc` names the domains to destroy",
		   a->what);
	rc = map_with(a, access, apart);
	free(apart);
	return rc;
}

static int map(struct attach *a)
{
	struct xlrbd__access access;
	int rc;

	rc = xlrbd__access_find(a->ctx, a->ceph, &a->record.spec, &access);
	if (rc < 0)
		return rc;
	rc = map_with(a, &access, a->record.spec.map_options);
	if (rc == -ESHUTDOWN)
		rc = map_apart(a, &access);
	xlrbd__access_wipe(&access);
	return rc;
}

static int hold(struct attach *a)
{
	struct xlrbd__cookie *me = &a->me;
	int rc;

	me->state = XLRBD_HELD;
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

/* What this host has left behind of the image; how much that was. */
static int clean(struct attach *a)
{
	struct xlrbd__image *image = &a->record.image;
	int records, entries, rc;

	rc = xlrbd__lock_withdraw(a->ctx, a->ceph, image, &a->record.lock,
				  a->what);
	if (rc < 0)
		return rc;
	/* Undoing a record takes the image's lock. */
	xlrbd__run_unlock(a->image_lock);
	a->image_lock = -1;
	records = xlrbd__gc_records(a->ctx, a->store, image, &a->work);
	entries = xlrbd__gc_entries(a->ctx, a->store, a->ceph, image,
				    a->what);
	return (records > 0 ? records : 0) + (entries > 0 ? entries : 0);
}

/*
 * Somebody holds the image: is it this host itself, by something it left
 * behind?  Then that goes, and we try once more.  Or is it somebody dead, and
 * the target says that we may take it?
 */
static int acquire_somehow(struct attach *a)
{
	struct xlrbd__lock *lock = &a->record.lock;
	struct xlrbd__deadline half;
	int cleaned, rc;

	/* Whom it waits for may be one of ours that was killed. */
	xlrbd__deadline_set(&half, xlrbd__deadline_left(&a->work) / 2);
	rc = acquire(a, &half);
	if (rc != -EBUSY)
		return rc;
	cleaned = clean(a);
	if (cleaned < 0 || (!cleaned && !a->record.spec.takeover &&
			    xlrbd__deadline_left(&half)))
		return rc;
	xlrbd__begin(a->ctx);
	rc = acquire(a, &a->work);
	/* Without an entry of ours it was not refused by its holders. */
	if (rc != -EBUSY || !a->record.spec.takeover || !lock->pending[0] ||
	    !xlrbd__deadline_left(&a->work))
		return rc;
	xlrbd__begin(a->ctx);
	return xlrbd__takeover(a->ctx, a->ceph, &a->record.image, &a->me,
			       a->what, &a->work, lock, NULL, NULL);
}

int xlrbd__attach_take(struct attach *a)
{
	int rc;

	rc = acquire_somehow(a);
	/* The kernel goes by its name, and others make and delete such ones. */
	if (!rc && a->record.spec.base)
		rc = xlrbd__ceph_image_still(a->ctx, a->ceph,
					     &a->record.image, a->what);
	if (!rc && a->vbd.writable)
		rc = xlrbd__clone_grow(a->ctx, a->ceph, &a->record.spec,
				       &a->record.image, a->what);
	if (!rc)
		rc = map(a);
	return rc < 0 ? rc : hold(a);
}

/*
 * A domain has arrived whose disk was prepared: all is done but to tell
 * blkback, while the guest stands still.  1 if so.  What fails here undoes
 * nothing: whoever receives the domain does.
 */
static int publish_prepared(struct attach *a)
{
	const struct xlrbd__vbd *vbd = &a->vbd;
	struct xlrbd__record record;
	bool fits;
	int rc;

	rc = xlrbd__run_read(a->ctx, vbd, &record);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	fits = record.awaits && !strcmp(record.awaits, vbd->params) &&
	       !strcmp(record.uuid, vbd->uuid) &&
	       record.writable == vbd->writable && record.lock.held[0] &&
	       !record.lock.pending[0] &&
	       xlrbd__krbd_is_mapped(&record.image, &record.device);
	rc = !fits ? 0 : xlrbd__store_publish(a->ctx, a->store, vbd,
					      &record.device, &a->work);
	if (fits && !rc)
		xlrbd__log(a->ctx, LOG_INFO,
			   "%s/%s: attached to domain %s (%s) as /dev/rbd%d, which was prepared",
			   record.image.pool, record.image.name, vbd->domain,
			   vbd->uuid, record.device.id);
	xlrbd__record_dispose(&record);
	return rc < 0 ? rc : fits;
}

int xlrbd_vbd_add(struct xlrbd_ctx *ctx, const char *path)
{
	struct attach a;
	int rc;

	xlrbd__begin(ctx);
	rc = xlrbd__attach_begin(&a, ctx, path, NULL);
	if (!rc)
		rc = xlrbd__store_read_vbd(ctx, a.store, &a.vbd);
	if (rc < 0 || a.vbd.published)
		goto out;
	rc = publish_prepared(&a);
	if (rc)
		goto out;
	rc = xlrbd__attach_clear_leftover(&a);
	if (!rc)
		rc = xlrbd__attach_inspect(&a);
	if (rc < 0)
		goto out;
	rc = xlrbd__attach_take(&a);
	if (!rc)
		rc = xlrbd__store_publish(ctx, a.store, &a.vbd,
					  &a.record.device, &a.work);
	if (!rc)
		xlrbd__log(ctx, LOG_INFO,
			   "%s: attached to domain %s (%s) as /dev/rbd%d, mode %s",
			   a.what, a.vbd.domain, a.vbd.uuid,
			   a.record.device.id,
			   xlrbd_mode_name(a.record.spec.mode));
	else if (xlrbd__attach_undo(&a) < 0)
		xlrbd__attach_keep_rest(&a);
out:
	xlrbd__attach_end(&a);
	return rc < 0 ? rc : 0;
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
