// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A stand-in for the kernel's rbd bus, for machines whose kernel has none:
 *
 *	standin-krbd MOUNTPOINT SOCKET		serves /sys/bus/rbd
 *	standin-krbd -c SOCKET COMMAND...	asks it something (standin-ctl.c)
 *
 * A FUSE file system with the attributes of linux 6.1's drivers/block/rbd.c.
 * Maps are real clients of a real cluster (standin-rados.c); there are no
 * block devices.  Build it with fuse3, rados, rbd and pthread.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include <ctype.h>
#include <errno.h>
#include <fuse.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standin.h"

#define MAJOR 252		/* the first of the dynamic ones, as a rule */
#define MINOR_SHIFT 4		/* RBD_SINGLE_MAJOR_PART_SHIFT */
#define PAGE 4096
#define INTERRUPT SIGUSR1
/* devices/N are links elsewhere in sysfs; here, to what is not listed. */
#define HIDDEN "/.devices"

struct bus_file {
	const char *name;
	mode_t mode;
	int (*write)(const char *text, pid_t tid, killed_fn *killed);
};

/* The plain names are there, but refuse when single_major is on. */
static int refuse(const char *text, pid_t tid, killed_fn *killed)
{
	return -EINVAL;
}

static const struct bus_file bus_files[] = {
	{ "add",		 0200, refuse },
	{ "remove",		 0200, refuse },
	{ "add_single_major",	 0200, krbd_add },
	{ "remove_single_major", 0200, krbd_remove },
	{ "supported_features",	 0444, NULL },
};

static const char *const attributes[] = {
	"size", "features", "major", "minor", "client_addr", "client_id",
	"cluster_fsid", "config_info", "pool", "pool_id", "pool_ns", "name",
	"image_id", "current_snap", "snap_id", "refresh",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct bus_file *find_bus_file(const char *path)
{
	size_t i;

	for (i = 0; i < COUNT(bus_files); i++)
		if (!strcmp(path + 1, bus_files[i].name))
			return &bus_files[i];
	return NULL;
}

static bool device_exists(int id)
{
	bool exists;

	pthread_mutex_lock(&state.lock);
	exists = device_find(id) != NULL;
	pthread_mutex_unlock(&state.lock);
	return exists;
}

/* "/devices/N": N, else -1. */
static int parse_link(const char *path)
{
	int id, used = 0;

	if (sscanf(path, "/devices/%d%n", &id, &used) == 1 && !path[used] &&
	    device_exists(id))
		return id;
	return -1;
}

/* "/.devices/N" or "/.devices/N/ATTRIBUTE", which is "" for the former. */
static int parse_device(const char *path, const char **attribute)
{
	int id, used = 0;
	size_t i;

	if (sscanf(path, HIDDEN "/%d%n", &id, &used) != 1 ||
	    !device_exists(id))
		return -1;
	*attribute = path + used;
	if (!path[used])
		return id;
	++*attribute;
	for (i = 0; i < COUNT(attributes); i++)
		if (!strcmp(*attribute, attributes[i]))
			return id;
	return -1;
}

static mode_t attribute_mode(const char *name)
{
	if (!strcmp(name, "config_info"))
		return 0400;
	return strcmp(name, "refresh") ? 0444 : 0200;
}

static int fs_getattr(const char *path, struct stat *st,
		      struct fuse_file_info *fi)
{
	const struct bus_file *file = find_bus_file(path);
	const char *attribute;

	memset(st, 0, sizeof(*st));
	st->st_nlink = 1;
	st->st_size = PAGE;
	if (!strcmp(path, "/") || !strcmp(path, "/devices") ||
	    !strcmp(path, HIDDEN))
		st->st_mode = S_IFDIR | 0755;
	else if (file)
		st->st_mode = S_IFREG | file->mode;
	else if (parse_link(path) >= 0)
		st->st_mode = S_IFLNK | 0777;
	else if (parse_device(path, &attribute) < 0)
		return -ENOENT;
	else if (!*attribute)
		st->st_mode = S_IFDIR | 0755;
	else
		st->st_mode = S_IFREG | attribute_mode(attribute);
	return 0;
}

static int fs_readlink(const char *path, char *out, size_t size)
{
	int id = parse_link(path);

	if (id < 0)
		return -ENOENT;
	snprintf(out, size, ".." HIDDEN "/%d", id);
	return 0;
}

static void list_devices(void *buf, fuse_fill_dir_t fill)
{
	struct device *device;
	char name[16];

	pthread_mutex_lock(&state.lock);
	for (device = state.devices; device; device = device->next) {
		snprintf(name, sizeof(name), "%d", device->id);
		fill(buf, name, NULL, 0, 0);
	}
	pthread_mutex_unlock(&state.lock);
}

static int fs_readdir(const char *path, void *buf, fuse_fill_dir_t fill,
		      off_t offset, struct fuse_file_info *fi,
		      enum fuse_readdir_flags flags)
{
	size_t i;

	fill(buf, ".", NULL, 0, 0);
	fill(buf, "..", NULL, 0, 0);
	if (!strcmp(path, "/")) {
		fill(buf, "devices", NULL, 0, 0);
		for (i = 0; i < COUNT(bus_files); i++)
			fill(buf, bus_files[i].name, NULL, 0, 0);
	} else if (!strcmp(path, "/devices") || !strcmp(path, HIDDEN)) {
		list_devices(buf, fill);
	} else {
		for (i = 0; i < COUNT(attributes); i++)
			fill(buf, attributes[i], NULL, 0, 0);
	}
	return 0;
}

/* As the kernel prints them, each with its newline. */
static void show(const struct device *device, const char *name, char *out)
{
	const struct request *request = &device->request;
	const char *text = "";
	uint64_t size = 0;

	if (!strcmp(name, "size")) {
		rbd_get_size(device->image, &size);
		snprintf(out, PAGE, "%" PRIu64 "\n", size);
	} else if (!strcmp(name, "features")) {
		snprintf(out, PAGE, "0x%016" PRIx64 "\n", device->features);
	} else if (!strcmp(name, "major")) {
		snprintf(out, PAGE, "%d\n", MAJOR);
	} else if (!strcmp(name, "minor")) {
		snprintf(out, PAGE, "%d\n", device->id << MINOR_SHIFT);
	} else if (!strcmp(name, "pool_id")) {
		snprintf(out, PAGE, "%" PRId64 "\n", device->pool_id);
	} else if (!strcmp(name, "snap_id")) {
		snprintf(out, PAGE, "%" PRIu64 "\n", device->snap_id);
	} else {
		if (!strcmp(name, "client_addr"))
			text = device_client_addr(device);
		else if (!strcmp(name, "client_id"))
			text = device_client_id(device);
		else if (!strcmp(name, "cluster_fsid"))
			text = device_fsid(device);
		else if (!strcmp(name, "config_info"))
			text = request->line;
		else if (!strcmp(name, "pool"))
			text = request->pool;
		else if (!strcmp(name, "pool_ns"))
			text = request->ns;
		else if (!strcmp(name, "name"))
			text = request->image;
		else if (!strcmp(name, "image_id"))
			text = device->image_id;
		else if (!strcmp(name, "current_snap"))
			text = request->snap;
		snprintf(out, PAGE, "%s\n", text);
	}
}

static int fs_open(const char *path, struct fuse_file_info *fi)
{
	return 0;
}

/* `echo > add` truncates first. */
static int fs_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	return 0;
}

static int fs_read(const char *path, char *buf, size_t size, off_t offset,
		   struct fuse_file_info *fi)
{
	const char *attribute;
	char text[PAGE] = "";
	struct device *device;
	size_t length;

	if (!strcmp(path, "/supported_features")) {
		snprintf(text, sizeof(text), "0x%" PRIx64 "\n",
			 state.features);
	} else {
		int id = parse_device(path, &attribute);

		device = id < 0 ? NULL : device_get(id);
		/* Open in somebody's hands while the device went. */
		if (!device)
			return -ENODEV;
		show(device, attribute, text);
		device_put(device);
	}
	length = strlen(text);
	if ((size_t)offset >= length)
		return 0;
	if (size > length - (size_t)offset)
		size = length - (size_t)offset;
	memcpy(buf, text + offset, size);
	return (int)size;
}

/*
 * fatal_signal_pending(): FUSE tells of any signal, the kernel's killable
 * waits end with a deadly one only.
 */
static bool is_killed(pid_t tid)
{
	unsigned long long pending = 0;
	char path[64], line[256];
	FILE *file;

	if (!fuse_interrupted())
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	file = fopen(path, "re");
	if (!file)
		return true;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "SigPnd: %llx", &pending) == 1)
			break;
	fclose(file);
	return pending >> (SIGKILL - 1) & 1;
}

static int fs_write(const char *path, const char *buf, size_t size,
		    off_t offset, struct fuse_file_info *fi)
{
	const struct bus_file *file = find_bus_file(path);
	char text[PAGE];
	int r = 0;

	/* sysfs hands over a page at most. */
	if (size > sizeof(text) - 1)
		size = sizeof(text) - 1;
	memcpy(text, buf, size);
	text[size] = '\0';
	if (file && file->write)
		r = file->write(text, fuse_get_context()->pid, is_killed);
	return r < 0 ? r : (int)size;
}

static void *fs_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
	/* Devices come and go by themselves: nothing may be remembered. */
	config->direct_io = 1;
	config->attr_timeout = 0;
	config->entry_timeout = 0;
	config->negative_timeout = 0;
	/* For fuse_interrupted(). */
	config->intr = 1;
	config->intr_signal = INTERRUPT;
	return NULL;
}

static const struct fuse_operations operations = {
	.getattr = fs_getattr,
	.readlink = fs_readlink,
	.readdir = fs_readdir,
	.open = fs_open,
	.truncate = fs_truncate,
	.read = fs_read,
	.write = fs_write,
	.init = fs_init,
};

static void do_nothing(int signal)
{
}

static int serve(char *program, const char *mountpoint)
{
	/* libfuse sends it to the thread, but may not have set a handler. */
	struct sigaction ignore = { .sa_handler = do_nothing };
	static char o[] = "-o";
	static char options[] = "allow_other,default_permissions,fsname=rbd";
	char *argv[] = { program, o, options };
	struct fuse_args args = FUSE_ARGS_INIT(COUNT(argv), argv);
	struct fuse *fuse = fuse_new(&args, &operations, sizeof(operations),
				     NULL);
	struct fuse_loop_config *config = fuse_loop_cfg_create();

	sigaction(INTERRUPT, &ignore, NULL);
	if (!fuse || fuse_mount(fuse, mountpoint) ||
	    fuse_set_signal_handlers(fuse_get_session(fuse)))
		return 1;
	/* A hanging map keeps a thread; more than a test lets hang. */
	fuse_loop_cfg_set_max_threads(config, 128);
	fuse_loop_mt(fuse, config);
	fuse_unmount(fuse);
	return 0;
}

int main(int argc, char **argv)
{
	int r;

	if (argc > 3 && !strcmp(argv[1], "-c"))
		return control_ask(argv[2], argc - 3, argv + 3);
	if (argc != 3) {
		fprintf(stderr, "usage: standin-krbd MOUNTPOINT SOCKET\n"
				"       standin-krbd -c SOCKET COMMAND...\n");
		return 2;
	}
	r = control_start(argv[2]);
	if (r < 0) {
		fprintf(stderr, "standin-krbd: %s: %s\n", argv[2],
			strerror(-r));
		return 1;
	}
	/* Then like a machine that is switched off: no goodbye to Ceph. */
	_exit(serve(argv[0], argv[1]));
}
