// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The kernel's block backend, as seen from sysfs.
 *
 * blkback reports state 6 before it closes the device, so libxl calls remove
 * while the disk is still open.  Its sysfs device goes when it has let go
 * (linux: xen-blkback/xenbus.c, frontend_changed()).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "internal.h"

#define BUS "/sys/bus/xen-backend"
/* How long blkback may take by itself. */
#define GRACE_MS 1000

/*
 * A guest may close its disk while it is still wanted, then blkback stays
 * bound with the device open; and when libxl withdraws the disk later there is
 * no event to tell it.  libxl deletes the nodes, which would, only after us.
 */
static void unbind(struct xlrbd_ctx *ctx, const char *name,
		   const struct xlrbd__deadline *deadline)
{
	int r;

	xlrbd__log(ctx, LOG_INFO, "%s: closed but not released; unbinding it",
		   name);
	r = xlrbd__file_write(BUS "/drivers/vbd/unbind", name, NULL, NULL, 0,
			      deadline);
	if (r < 0 && r != -ENODEV)
		xlrbd__log(ctx, LOG_WARNING, "unbind %s: %s", name,
			   strerror(-r));
}

/* The driver link goes with unbinding, the device with xenstore's nodes. */
static bool is_bound(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), BUS "/devices/%s/driver", name);
	return access(path, F_OK) == 0;
}

int xlrbd__blkback_wait_gone(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
			     const struct xlrbd__vbd *vbd,
			     const struct xlrbd__deadline *deadline)
{
	struct xlrbd__deadline grace;
	unsigned int pause_ms = 5;
	bool unbound = false;
	char name[48];

	snprintf(name, sizeof(name), "vbd-%u-%u", vbd->domid, vbd->devid);
	xlrbd__deadline_set(&grace, GRACE_MS);
	while (is_bound(name)) {
		if (!unbound && !xlrbd__deadline_left(&grace) &&
		    xlrbd__store_vbd_is_closed(store, vbd)) {
			unbind(ctx, name, deadline);
			unbound = true;
		} else if (!xlrbd__deadline_pause(deadline, &pause_ms, 200)) {
			return xlrbd__fail(ctx, -EBUSY,
					   "the block backend still uses %s; its device stays mapped",
					   name);
		}
	}
	return 0;
}
