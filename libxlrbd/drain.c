// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting until nothing is under way to the disks of a suspended domain.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * blkback takes what the guest had still put into the ring out of it a moment
 * later: the device must have done nothing for so long.
 */
#define STILL_MS	20

/* 1, 0 or a negative errno value. */
static int is_still(const struct xlrbd__device *device)
{
	char before[XLRBD__STAT_MAX], after[XLRBD__STAT_MAX];
	struct xlrbd__deadline once;
	unsigned int pause_ms = STILL_MS;
	int r;

	r = xlrbd__krbd_stat(device, before);
	/* Unmapped: nothing can be under way. */
	if (r == -ENOENT)
		return 1;
	if (r)
		return r > 0 ? 0 : r;
	xlrbd__deadline_set(&once, STILL_MS);
	xlrbd__deadline_pause(&once, &pause_ms, STILL_MS);
	r = xlrbd__krbd_stat(device, after);
	return r < 0 && r != -ENOENT ? r : !r && !strcmp(before, after);
}

static int drain_one(struct xlrbd_ctx *ctx, const struct xlrbd__record *record,
		     const struct xlrbd__deadline *deadline)
{
	unsigned int pause_ms = 1;
	int r;

	if (record->device.id < 0)
		return 0;
	while (!(r = is_still(&record->device)))
		if (!xlrbd__deadline_pause(deadline, &pause_ms, 50))
			return xlrbd__fail(ctx, -ETIMEDOUT,
					   "/dev/rbd%d (%s/%s): requests are still in flight; is the cluster slow? See `ceph -s`",
					   record->device.id,
					   record->image.pool,
					   record->image.name);
	return r > 0 ? 0 : xlrbd__fail(ctx, r, "look at /dev/rbd%d: %s",
				       record->device.id, strerror(-r));
}

int xlrbd_drain(struct xlrbd_ctx *ctx, unsigned int domid,
		unsigned int timeout_ms)
{
	struct xlrbd__deadline deadline;
	struct xlrbd__record record;
	struct xlrbd__vbd *vbds;
	size_t i, n;
	int rc;

	xlrbd__begin(ctx);
	xlrbd__deadline_set(&deadline, timeout_ms);
	rc = xlrbd__run_list(ctx, &vbds, &n);
	for (i = 0; !rc && i < n; i++) {
		if (vbds[i].domid != domid)
			continue;
		rc = xlrbd__run_read(ctx, &vbds[i], &record);
		if (rc == -ENOENT) {
			rc = 0;
		} else if (!rc) {
			rc = drain_one(ctx, &record, &deadline);
			xlrbd__record_dispose(&record);
		}
	}
	free(vbds);
	return rc;
}
