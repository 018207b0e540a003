// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Mapping images with the kernel's rbd driver: the only file that touches
 * /sys/bus/rbd (linux: Documentation/ABI/testing/sysfs-bus-rbd).
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <rbd/features.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define BUS	"/sys/bus/rbd"
#define DEVICES	BUS "/devices"
/*
 * Seconds that krbd waits for monitors; its default of 60 is longer than
 * libxl waits for us.  The same for all maps: those with equal options share
 * one client (linux: ceph_compare_options()).
 */
#define MOUNT_TIMEOUT	"mount_timeout=20"
#define ID_MAX		4096

int xlrbd__krbd_check(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		      bool read_only, const char *what)
{
	uint64_t needed, missing;
	char text[64];
	char names[256];
	int r;

	r = xlrbd__file_read(BUS, "supported_features", text, sizeof(text));
	if (r < 0)
		return xlrbd__fail(ctx, -ENODEV,
				   "map %s: the kernel's rbd module is not loaded; run `modprobe rbd`",
				   what);
	/* Some features only matter to who writes. */
	needed = read_only ? RBD_FEATURES_INCOMPATIBLE :
			     RBD_FEATURES_RW_INCOMPATIBLE;
	missing = image->features & needed & ~strtoull(text, NULL, 16);
	if (!missing)
		return 0;
	xlrbd__feature_names(missing, names, sizeof(names));
	return xlrbd__fail(ctx, -EOPNOTSUPP,
			   "map %s: this kernel does not know the image's features: %s; see `rbd feature disable`",
			   what, names);
}

static bool attribute_is(const char *dir, const char *name, const char *value)
{
	char text[4096];	/* as long as sysfs has any */

	return xlrbd__file_read(dir, name, text, sizeof(text)) == 0 &&
	       !strcmp(text, value);
}

static void device_dir(int id, char out[64])
{
	snprintf(out, 64, DEVICES "/%d", id);
}

/* Whatever /dev/rbdID is: is it a map of this very image? */
static bool maps_image(int id, const struct xlrbd__image *image)
{
	char pool_id[24], dir[64];

	device_dir(id, dir);
	snprintf(pool_id, sizeof(pool_id), "%" PRId64, image->pool_id);
	return attribute_is(dir, "image_id", image->id) &&
	       attribute_is(dir, "pool_id", pool_id) &&
	       attribute_is(dir, "pool_ns", image->ns) &&
	       attribute_is(dir, "cluster_fsid", image->fsid) &&
	       attribute_is(dir, "current_snap",
			    image->snap[0] ? image->snap : "-");
}

/* A set of device ids, one bit each. */
struct id_set {
	unsigned char bits[ID_MAX / 8];
};

static bool in_set(const struct id_set *set, int id)
{
	return set->bits[id / 8] >> id % 8 & 1;
}

/* The maps of @image that were made by writing @line. */
static int find_maps(const struct xlrbd__image *image, const char *line,
		     struct id_set *set_out)
{
	struct dirent *entry;
	DIR *dir;

	memset(set_out, 0, sizeof(*set_out));
	dir = opendir(DEVICES);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		int id = atoi(entry->d_name);
		char path[64];

		if (!isdigit((unsigned char)entry->d_name[0]) || id >= ID_MAX)
			continue;
		device_dir(id, path);
		if (maps_image(id, image) &&
		    attribute_is(path, "config_info", line))
			set_out->bits[id / 8] |= 1U << id % 8;
	}
	closedir(dir);
	return 0;
}

static int read_number(const char *dir, const char *name, unsigned int *out)
{
	char text[24];
	int r = xlrbd__file_read(dir, name, text, sizeof(text));

	if (!r)
		*out = strtoul(text, NULL, 10);
	return r;
}

static int read_device(int id, struct xlrbd__device *device)
{
	struct timespec now;
	char dir[64];
	int r;

	device_dir(id, dir);
	r = read_number(dir, "major", &device->major);
	if (!r)
		r = read_number(dir, "minor", &device->minor);
	if (!r)
		r = xlrbd__file_read(dir, "client_addr", device->client_addr,
				     sizeof(device->client_addr));
	if (!r) {
		clock_gettime(CLOCK_BOOTTIME, &now);
		device->since = now.tv_sec * 1000000000LL + now.tv_nsec;
		device->id = id;
	}
	return r;
}

/*
 * The kernel does not say which id it gave.  The caller has locked the image
 * on this host and nobody else writes this very line, so it is the one that
 * was not there before.
 */
static int find_new(const struct xlrbd__image *image, const char *line,
		    const struct id_set *before, struct xlrbd__device *device)
{
	struct id_set after;
	int id, r;

	r = find_maps(image, line, &after);
	if (r < 0)
		return r;
	for (id = 0; id < ID_MAX; id++)
		if (in_set(&after, id) && !in_set(before, id))
			return read_device(id, device);
	return -ENOENT;
}

static int fail_map(struct xlrbd_ctx *ctx, int r,
		    const struct xlrbd__image *image, const char *what)
{
	const char *why;

	/* The image itself was there a moment ago. */
	if (r == -ENOENT && image->snap[0])
		return xlrbd__fail(ctx, r,
				   "%s: no such snapshot; see `rbd snap ls`",
				   what);
	switch (r) {
	case -ETIMEDOUT:
		why = "the kernel's client got no answer from the cluster in time; see `ceph health detail`";
		break;
	case -EBUSY:
		why = "the image's exclusive lock is held by something that is not a client of it; see `rbd lock ls`";
		break;
	case -ESHUTDOWN:
		why = "the cluster has fenced this host's client, by a takeover of one of its disks; see TAKEOVER in block-rbd(8)";
		break;
	case -EROFS:
		why = "another client has mapped it exclusively and does not give it up; see `rbd status`";
		break;
	case -ENXIO:
		why = "the kernel does not know this image's features; see dmesg";
		break;
	case -EPERM:
	case -EACCES:
		why = "the cluster refuses the kernel's client, or this process is not root; see dmesg";
		break;
	case -EINVAL:
		why = "the kernel does not take these options; see map= in target, and dmesg";
		break;
	default:
		return xlrbd__fail(ctx, r, "map %s: %s; see dmesg", what,
				   strerror(-r));
	}
	return xlrbd__fail(ctx, r, "map %s: %s", what, why);
}

char *xlrbd__krbd_line(const struct xlrbd__image *image,
		       const struct xlrbd__access *access, const char *options,
		       bool read_only)
{
	const char *id = access->entity + strlen("client.");
	char ns[300] = "", key[128] = "";
	char *line;

	if (image->ns[0])
		snprintf(ns, sizeof(ns), ",_pool_ns=%s", image->ns);
	if (access->key_len)
		snprintf(key, sizeof(key), ",key=%s", access->entity);
	if (asprintf(&line, "%s name=%s%s,%s%s%s%s%s%s%s %s %s %s",
		     access->monitors, id, key, MOUNT_TIMEOUT, ns,
		     read_only ? ",ro" : "", access->ms_mode ? "," : "",
		     access->ms_mode ? access->ms_mode : "",
		     options ? "," : "", options ? options : "",
		     image->pool, image->name,
		     image->snap[0] ? image->snap : "-") < 0)
		return NULL;
	return line;
}

/* Old kernels, and those with single_major=N, have only the plain names. */
static const char *attribute(const char *single_major, const char *plain)
{
	return access(single_major, W_OK) == 0 ? single_major : plain;
}

int xlrbd__krbd_map(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		    const struct xlrbd__access *access, const char *line,
		    const char *what,
		    const struct xlrbd__deadline *deadline,
		    struct xlrbd__device *device_out)
{
	struct id_set before;
	int r;

	r = find_maps(image, line, &before);
	if (!r)
		r = xlrbd__file_write(attribute(BUS "/add_single_major",
						BUS "/add"), line,
				      access->entity,
				      access->key_len ? access->key : NULL,
				      access->key_len, deadline);
	if (r < 0) {
		fail_map(ctx, r, image, what);
		/* It may have been done just as we gave up. */
		if (r == -ETIMEDOUT)
			find_new(image, line, &before, device_out);
		return r;
	}
	r = find_new(image, line, &before, device_out);
	if (r < 0)
		xlrbd__fail(ctx, r,
			    "map %s: the kernel has mapped it but shows no new device: %s",
			    what, strerror(-r));
	return r;
}

int xlrbd__krbd_find_lost(const struct xlrbd__image *image, const char *line,
			  const int *claimed, size_t n_claimed,
			  struct xlrbd__device *device_out)
{
	struct id_set others;
	size_t i;

	memset(&others, 0, sizeof(others));
	for (i = 0; i < n_claimed; i++)
		if (claimed[i] >= 0 && claimed[i] < ID_MAX)
			others.bits[claimed[i] / 8] |= 1U << claimed[i] % 8;
	return find_new(image, line, &others, device_out);
}

/* Of any image, if that is NULL. */
static bool has_map(const struct xlrbd__image *image, const char *addr)
{
	struct dirent *entry;
	bool found = false;
	char path[64];
	DIR *dir;

	dir = opendir(DEVICES);
	while (dir && !found && (entry = readdir(dir))) {
		int id = atoi(entry->d_name);

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		device_dir(id, path);
		found = attribute_is(path, "client_addr", addr) &&
			(!image || maps_image(id, image));
	}
	if (dir)
		closedir(dir);
	return found;
}

bool xlrbd__krbd_has_client(const char *addr)
{
	return has_map(NULL, addr);
}

bool xlrbd__krbd_has_map(const struct xlrbd__image *image, const char *addr)
{
	return has_map(image, addr);
}

bool xlrbd__krbd_is_mapped(const struct xlrbd__image *image,
			   const struct xlrbd__device *device)
{
	char dir[64];

	device_dir(device->id, dir);
	return maps_image(device->id, image) &&
	       attribute_is(dir, "client_addr", device->client_addr);
}

int xlrbd__krbd_unmap(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		      const struct xlrbd__device *device, const char *what,
		      const struct xlrbd__deadline *deadline)
{
	unsigned int pause_ms = 20;
	bool busy = false;
	char id[16];
	int r;

	if (device->id < 0)
		return 0;
	snprintf(id, sizeof(id), "%d", device->id);
	/*
	 * EBUSY: udev's blkid, or blkback's deferred work, has it open for
	 * another moment.  EINPROGRESS: being removed already.
	 */
	do {
		if (!xlrbd__krbd_is_mapped(image, device))
			return 0;
		r = xlrbd__file_write(attribute(BUS "/remove_single_major",
						BUS "/remove"), id, NULL, NULL,
				      0, deadline);
		/* The last try may be cut short; the reason is the same. */
		if (r == -ETIMEDOUT && busy)
			r = -EBUSY;
		busy = r == -EBUSY;
	} while ((busy || r == -EINPROGRESS) &&
		 xlrbd__deadline_pause(deadline, &pause_ms, 200) &&
		 xlrbd__deadline_left(deadline));
	if (!r || r == -ENOENT)
		return 0;
	if (r == -ETIMEDOUT)
		return xlrbd__fail(ctx, r,
				   "unmap /dev/rbd%d (%s): the kernel did not finish in time; is the cluster reachable? See dmesg and `ceph health detail`",
				   device->id, what);
	return xlrbd__fail(ctx, r, "unmap /dev/rbd%d (%s): %s; see `fuser -v /dev/rbd%d`, then `rbd unmap`",
			   device->id, what, strerror(-r), device->id);
}

/* linux: Documentation/block/stat.rst; the ninth number is "in_flight". */
int xlrbd__krbd_stat(const struct xlrbd__device *device,
		     char out[XLRBD__STAT_MAX])
{
	unsigned long in_flight;
	char dir[64];
	int r;

	snprintf(dir, sizeof(dir), "/sys/block/rbd%d", device->id);
	r = xlrbd__file_read(dir, "stat", out, XLRBD__STAT_MAX);
	if (r < 0)
		return r;
	if (sscanf(out, "%*u %*u %*u %*u %*u %*u %*u %*u %lu", &in_flight) != 1)
		return -EPROTO;
	return in_flight > 0;
}
