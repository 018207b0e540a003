// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Disks of a domain that is to arrive: attached before it does, up to the last
 * step, which add takes.
 *
 * Each has a record from the beginning, as every disk, which says what it
 * awaits.  Whether that still can come is told by a lock that the receiving
 * process holds.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "attach.h"

struct xlrbd_arrival {
	struct xlrbd_ctx *ctx;
	char domain[256];	/* as it is called while it arrives */
	char uuid[37];
	unsigned int domid;
	int lock;
};

/* Whoever only asks has it for a moment. */
#define MOMENT_MS	300

static int try_lock(struct xlrbd_ctx *ctx, const char *uuid, int64_t ms,
		    int *fd_out)
{
	struct xlrbd__deadline deadline;

	xlrbd__deadline_set(&deadline, ms);
	return xlrbd__run_lock_arrival(ctx, uuid, &deadline, fd_out);
}

/* Without a word: to find it locked is nothing to complain about. */
static bool is_received(const char *uuid)
{
	struct xlrbd_ctx *quiet;
	bool received;
	int fd;

	/* When in doubt, it is. */
	if (xlrbd_new(&quiet) < 0)
		return true;
	received = try_lock(quiet, uuid, 0, &fd) < 0;
	if (!received)
		xlrbd__run_unlock(fd);
	xlrbd_free(quiet);
	return received;
}

bool xlrbd__arrival_awaits(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd)
{
	struct xlrbd__record record;
	bool awaits;

	if (xlrbd__run_read(ctx, vbd, &record) < 0)
		return false;
	awaits = record.awaits && is_received(record.uuid);
	xlrbd__record_dispose(&record);
	return awaits;
}

static bool is_for(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		   const char *uuid)
{
	struct xlrbd__record record;
	bool is;

	if (xlrbd__run_read(ctx, vbd, &record) < 0)
		return false;
	is = record.awaits && !strcmp(record.uuid, uuid);
	xlrbd__record_dispose(&record);
	return is;
}

/* What was prepared for the domain, and has not become a disk of one. */
static int undo_all(struct xlrbd_ctx *ctx, const char *uuid)
{
	struct xlrbd__vbd *vbds;
	size_t i, n;
	int rc, r;

	rc = xlrbd__run_list(ctx, &vbds, &n);
	for (i = 0; i < n; i++) {
		if (!is_for(ctx, &vbds[i], uuid))
			continue;
		r = xlrbd__vbd_undo_lost(ctx, vbds[i].path, true, NULL);
		if (r < 0 && !rc)
			rc = r;
	}
	free(vbds);
	return rc;
}

int xlrbd_arrival_begin(struct xlrbd_ctx *ctx, const char *domain,
			const char *uuid, unsigned int domid,
			struct xlrbd_arrival **arrival_out)
{
	struct xlrbd_arrival *arrival;
	int rc;

	xlrbd__begin(ctx);
	arrival = calloc(1, sizeof(*arrival));
	if (!arrival)
		return xlrbd__fail_nomem(ctx);
	arrival->ctx = ctx;
	arrival->domid = domid;
	snprintf(arrival->uuid, sizeof(arrival->uuid), "%s", uuid);
	snprintf(arrival->domain, sizeof(arrival->domain),
		 "%.200s" XLRBD__INCOMING, domain);
	rc = try_lock(ctx, uuid, MOMENT_MS, &arrival->lock);
	if (rc < 0) {
		free(arrival);
		if (rc != -ETIMEDOUT)
			return rc;
		xlrbd__begin(ctx);
		return xlrbd__fail(ctx, -EALREADY,
				   "domain %s (%s) is arriving here already",
				   domain, uuid);
	}
	rc = undo_all(ctx, uuid);
	if (rc < 0) {
		xlrbd__run_unlock(arrival->lock);
		free(arrival);
		return rc;
	}
	*arrival_out = arrival;
	return 0;
}

static void name_image(const struct xlrbd__image *image,
		       char out[XLRBD_IMAGE_MAX])
{
	snprintf(out, XLRBD_IMAGE_MAX, "%s/%" PRId64 "/%s", image->fsid,
		 image->pool_id, image->id);
}

static int check_same(const struct attach *a, const char *image)
{
	char ours[XLRBD_IMAGE_MAX];

	name_image(&a->record.image, ours);
	if (!image || !strcmp(ours, image))
		return 0;
	return xlrbd__fail(a->ctx, -EXDEV,
			   "%s: is another image on this host (%s) than where the domain comes from (%s); compare ceph.conf and xlrbd.conf of both",
			   a->what, ours, image);
}

static int describe(const struct xlrbd_arrival *arrival,
		    const struct xlrbd_disk *disk, struct attach *a)
{
	/* Where the domain comes from it is, so it is not to be made here. */
	a->must_exist = disk->image;
	memcpy(a->vbd.uuid, arrival->uuid, sizeof(a->vbd.uuid));
	a->record.awaits = strdup(disk->target);
	a->record.writable = disk->writable;
	memcpy(a->record.uuid, arrival->uuid, sizeof(a->record.uuid));
	return a->record.awaits ?
	       xlrbd__attach_describe(a, arrival->domain, disk) :
	       xlrbd__fail_nomem(a->ctx);
}

int xlrbd_arrival_prepare(struct xlrbd_arrival *arrival,
			  const struct xlrbd_disk *disk)
{
	struct attach a;
	char path[64];
	int rc;

	xlrbd__begin(arrival->ctx);
	snprintf(path, sizeof(path), "backend/vbd/%u/%u", arrival->domid,
		 disk->devid);
	rc = xlrbd__attach_begin(&a, arrival->ctx, path, NULL);
	if (!rc && xlrbd__store_vbd_exists(a.store, &a.vbd))
		rc = xlrbd__fail(arrival->ctx, -EEXIST,
				 "%s: there is a domain %u on this host already",
				 path, arrival->domid);
	if (!rc)
		rc = xlrbd__attach_clear_leftover(&a);
	if (!rc)
		rc = describe(arrival, disk, &a);
	if (!rc)
		rc = xlrbd__attach_inspect(&a);
	if (!rc)
		rc = check_same(&a, disk->image);
	if (!rc) {
		rc = xlrbd__attach_take(&a);
		/* Held for certain, with nothing pending: add looks at that. */
		if (!rc)
			rc = xlrbd__run_write(arrival->ctx, &a.vbd, &a.record);
		if (rc < 0 && xlrbd__attach_undo(&a) < 0)
			xlrbd__attach_keep_rest(&a);
	}
	if (!rc)
		xlrbd__log(arrival->ctx, LOG_INFO,
			   "%s: prepared for domain %s (%s) as /dev/rbd%d, mode %s",
			   a.what, a.vbd.domain, a.vbd.uuid,
			   a.record.device.id,
			   xlrbd_mode_name(a.record.spec.mode));
	xlrbd__attach_end(&a);
	return rc;
}

int xlrbd_arrival_end(struct xlrbd_arrival *arrival)
{
	int rc;

	if (!arrival)
		return 0;
	xlrbd__begin(arrival->ctx);
	rc = undo_all(arrival->ctx, arrival->uuid);
	xlrbd__run_unlock(arrival->lock);
	free(arrival);
	return rc;
}

int xlrbd_arrivals_lost(struct xlrbd_ctx *ctx, xlrbd_arrival_fn *fn,
			void *data)
{
	struct xlrbd__record record;
	struct xlrbd__vbd *vbds;
	size_t i, n;
	int rc;

	xlrbd__begin(ctx);
	rc = xlrbd__run_list(ctx, &vbds, &n);
	for (i = 0; !rc && i < n; i++) {
		if (xlrbd__run_read(ctx, &vbds[i], &record) < 0)
			continue;
		if (record.awaits && !is_received(record.uuid))
			rc = fn(data, vbds[i].domid, record.uuid);
		xlrbd__record_dispose(&record);
	}
	free(vbds);
	return rc;
}

int xlrbd_vbd_image(struct xlrbd_ctx *ctx, unsigned int domid,
		    unsigned int devid, char out[XLRBD_IMAGE_MAX])
{
	struct xlrbd__vbd vbd = { .domid = domid, .devid = devid };
	struct xlrbd__record record;
	int rc;

	xlrbd__begin(ctx);
	rc = xlrbd__run_read(ctx, &vbd, &record);
	if (rc == -ENOENT)
		return xlrbd__fail(ctx, rc,
				   "domain %u, disk %u: not attached by block-rbd on this host",
				   domid, devid);
	if (rc < 0)
		return rc;
	name_image(&record.image, out);
	xlrbd__record_dispose(&record);
	return 0;
}
