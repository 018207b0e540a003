// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xenstore: what libxl wrote about a disk, and what blkback waits for.  The
 * only file that includes xenstore.h.
 *
 * Paths are relative, as libxl gives them: xenstored takes them as below
 * /local/domain/<us>, so this works in a driver domain as well.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "internal.h"

/* xen: io/xenbus.h */
#define STATE_INIT_WAIT	"2"
#define STATE_CLOSED	"6"
/* For telling libxl of a failure, after whatever time that has taken. */
#define REPORT_MS	1000

struct xlrbd__store {
	struct xs_handle *xs;
};

int xlrbd__vbd_parse_path(struct xlrbd_ctx *ctx, const char *path,
			  struct xlrbd__vbd *vbd_out)
{
	memset(vbd_out, 0, sizeof(*vbd_out));
	if (sscanf(path, "backend/vbd/%u/%u", &vbd_out->domid,
		   &vbd_out->devid) == 2)
		snprintf(vbd_out->path, sizeof(vbd_out->path),
			 "backend/vbd/%u/%u", vbd_out->domid, vbd_out->devid);
	/* sscanf() forgives signs, blanks and what follows; we do not. */
	if (strcmp(vbd_out->path, path) != 0)
		return xlrbd__fail(ctx, -EINVAL,
				   "XENBUS_PATH: \"%.80s\" is not backend/vbd/DOMID/DEVID",
				   path);
	return 0;
}

void xlrbd__vbd_dispose(struct xlrbd__vbd *vbd)
{
	free(vbd->params);
	memset(vbd, 0, sizeof(*vbd));
}

int xlrbd__store_open(struct xlrbd_ctx *ctx, struct xlrbd__store **store_out)
{
	struct xlrbd__store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return xlrbd__fail_nomem(ctx);
	store->xs = xs_open(0);
	if (!store->xs) {
		r = errno ? -errno : -EIO;
		free(store);
		return xlrbd__fail(ctx, r,
				   "connect to xenstored: %s; is this a Xen host, and root?",
				   strerror(-r));
	}
	*store_out = store;
	return 0;
}

void xlrbd__store_close(struct xlrbd__store *store)
{
	if (!store)
		return;
	xs_close(store->xs);
	free(store);
}

/* NULL, with errno set, if it cannot be read. */
static char *read_node(struct xlrbd__store *store, xs_transaction_t t,
		       const char *format, ...) XLRBD__PRINTF(3, 4);

static char *read_node(struct xlrbd__store *store, xs_transaction_t t,
		       const char *format, ...)
{
	unsigned int length;
	char path[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	return xs_read(store->xs, t, path, &length);
}

static bool node_is(struct xlrbd__store *store, xs_transaction_t t,
		    const char *path, const char *node, const char *value)
{
	char *text = read_node(store, t, "%s/%s", path, node);
	bool same = text && !strcmp(text, value);

	free(text);
	return same;
}

static int fail_read(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		     const char *node)
{
	int r = errno ? -errno : -EIO;

	return xlrbd__fail(ctx, r, "read %s/%s from xenstore: %s", vbd->path,
			   node, strerror(-r));
}

/*
 * The name and UUID of the domain.  In a driver domain they are often not
 * readable, and domain 0 has no UUID; then what is known has to do.
 */
static void read_domain(struct xlrbd__store *store, struct xlrbd__vbd *vbd)
{
	char *vm, *name;
	const char *uuid;

	vm = read_node(store, XBT_NULL, "/local/domain/%u/vm", vbd->domid);
	uuid = vm ? strrchr(vm, '/') : NULL;
	snprintf(vbd->uuid, sizeof(vbd->uuid), "%s",
		 uuid && strlen(uuid + 1) == sizeof(vbd->uuid) - 1 ?
		 uuid + 1 : XLRBD__NO_UUID);
	name = read_node(store, XBT_NULL, "/local/domain/%u/name", vbd->domid);
	vbd->nameless = !name;
	if (name)
		snprintf(vbd->domain, sizeof(vbd->domain), "%s", name);
	else
		snprintf(vbd->domain, sizeof(vbd->domain), "%s%u",
			 vbd->domid ? "dom" : "Domain-", vbd->domid);
	free(name);
	free(vm);
	/* xen: libxl.c, libxl_is_stubdom(); only the toolstack can write it. */
	name = read_node(store, XBT_NULL, "/local/domain/%u/target",
			 vbd->domid);
	vbd->target = name ? strtoul(name, NULL, 10) : 0;
	free(name);
}

int xlrbd__store_read_vbd(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
			  struct xlrbd__vbd *vbd)
{
	char *text;

	text = read_node(store, XBT_NULL, "%s/physical-device", vbd->path);
	vbd->published = text != NULL;
	free(text);
	vbd->params = read_node(store, XBT_NULL, "%s/params", vbd->path);
	if (!vbd->params)
		return fail_read(ctx, vbd, "params");
	text = read_node(store, XBT_NULL, "%s/mode", vbd->path);
	if (!text)
		return fail_read(ctx, vbd, "mode");
	/* As blkback decides it (linux: xen-blkback/xenbus.c). */
	vbd->writable = strchr(text, 'w') != NULL;
	free(text);
	text = read_node(store, XBT_NULL, "%s/dev", vbd->path);
	snprintf(vbd->vdev, sizeof(vbd->vdev), "%s", text ? text : "");
	free(text);
	read_domain(store, vbd);
	return 0;
}

/* What cannot be read may be there. */
static bool exists(struct xlrbd__store *store, xs_transaction_t t,
		   const char *path)
{
	char *frontend = read_node(store, t, "%s/frontend", path);
	bool found = frontend || errno != ENOENT;

	free(frontend);
	return found;
}

bool xlrbd__store_domain_exists(struct xlrbd__store *store,
				unsigned int domid, const char *uuid)
{
	char vm[64], *text;
	bool found;

	snprintf(vm, sizeof(vm), "/vm/%s", uuid);
	text = read_node(store, XBT_NULL, "/local/domain/%u/vm", domid);
	found = text ? !strcmp(text, vm) : errno != ENOENT;
	free(text);
	return found;
}

bool xlrbd__store_vbd_exists(struct xlrbd__store *store,
			     const struct xlrbd__vbd *vbd)
{
	return exists(store, XBT_NULL, vbd->path);
}

bool xlrbd__store_vbd_is_closed(struct xlrbd__store *store,
				const struct xlrbd__vbd *vbd)
{
	return node_is(store, XBT_NULL, vbd->path, "state", STATE_CLOSED) &&
	       node_is(store, XBT_NULL, vbd->path, "online", "0");
}

static bool write_node(struct xlrbd__store *store, xs_transaction_t t,
		       const char *path, const char *node, const char *value)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", path, node);
	return xs_write(store->xs, t, full, value, strlen(value));
}

/* What a transaction writes: node and value, again and again, and NULL. */
static bool write_nodes(struct xlrbd__store *store, xs_transaction_t t,
			const char *path, const char *const *nodes)
{
	for (; nodes[0]; nodes += 2)
		if (!write_node(store, t, path, nodes[0], nodes[1]))
			return false;
	return true;
}

/*
 * One try.  Whether the nodes are still wanted is looked up inside the
 * transaction, so that a destroy in between makes the commit fail; written
 * outside, they would make the directory anew, and nobody would delete it.
 */
static int try_write(struct xlrbd__store *store, const struct xlrbd__vbd *vbd,
		     bool (*is_wanted)(struct xlrbd__store *store,
				       xs_transaction_t t, const char *path),
		     const char *const *nodes)
{
	xs_transaction_t t = xs_transaction_start(store->xs);
	int r = 0;

	if (t == XBT_NULL)
		return errno ? -errno : -EIO;
	if (!is_wanted(store, t, vbd->path))
		r = -ECANCELED;
	else if (!write_nodes(store, t, vbd->path, nodes))
		r = errno ? -errno : -EIO;
	if (!xs_transaction_end(store->xs, t, r < 0) && !r)
		r = errno ? -errno : -EIO;
	return r;
}

static int write_if(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
		    const struct xlrbd__vbd *vbd,
		    bool (*is_wanted)(struct xlrbd__store *store,
				      xs_transaction_t t, const char *path),
		    const char *const *nodes,
		    const struct xlrbd__deadline *deadline)
{
	unsigned int pause_ms = 1;
	int r;

	/* EAGAIN: somebody else changed what we read; an everyday thing. */
	do
		r = try_write(store, vbd, is_wanted, nodes);
	while (r == -EAGAIN && xlrbd__deadline_pause(deadline, &pause_ms, 100));
	if (r == -ECANCELED)
		return xlrbd__fail(ctx, r,
				   "%s: the backend no longer waits for a device; was the domain destroyed?",
				   vbd->path);
	if (r < 0)
		return xlrbd__fail(ctx, r, "write %s to xenstore: %s",
				   vbd->path, strerror(-r));
	return 0;
}

static bool waits_for_device(struct xlrbd__store *store, xs_transaction_t t,
			     const char *path)
{
	return node_is(store, t, path, "state", STATE_INIT_WAIT) &&
	       node_is(store, t, path, "online", "1");
}

/* physical-device is what blkback watches for; it sees it all at once. */
int xlrbd__store_publish(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
			 const struct xlrbd__vbd *vbd,
			 const struct xlrbd__device *device,
			 const struct xlrbd__deadline *deadline)
{
	char path[32], number[32];
	const char *const nodes[] = {
		"physical-device-path", path,
		"physical-device", number,
		"hotplug-status", "connected",
		NULL,
	};

	snprintf(path, sizeof(path), "/dev/rbd%d", device->id);
	snprintf(number, sizeof(number), "%x:%x", device->major,
		 device->minor);
	return write_if(ctx, store, vbd, waits_for_device, nodes, deadline);
}

int xlrbd__store_report(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
			const struct xlrbd__vbd *vbd, const char *message)
{
	const char *const nodes[] = {
		"hotplug-error", message,
		"hotplug-status", "error",
		NULL,
	};
	struct xlrbd__deadline deadline;

	xlrbd__deadline_set(&deadline, REPORT_MS);
	return write_if(ctx, store, vbd, exists, nodes, &deadline);
}
