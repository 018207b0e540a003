/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of standin-krbd share: a map of it.
 *
 * One mutex guards everything here, one condition tells of every change.
 * Nobody holds the mutex while a call to the cluster is under way.
 */
#ifndef STANDIN_H
#define STANDIN_H

#include <pthread.h>
#include <rados/librados.h>
#include <rbd/librbd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* standin-options.c: the line that is written to add_single_major */

struct request {
	char *line;		/* as written, config_info */
	char *mons, *pool, *image, *snap;
	char ns[256];
	char name[128];		/* name=, the cephx id */
	char secret[256];	/* base64: of secret=, or of what key= names */
	char shared[1024];	/* the options that decide on sharing */
	bool noshare, msgr2, read_only, exclusive, lock_on_read;
	unsigned int mount_timeout, lock_timeout, osd_request_timeout;
};

/* Parses @text as written by thread @tid; 0 or what the kernel returns. */
int request_parse(struct request *request, const char *text, pid_t tid);
void request_dispose(struct request *request);

/* standin-rados.c: one map is one open image of one (shared) rados client */

struct client;

struct device {
	struct device *next;
	struct request request;
	struct client *client;
	rados_ioctx_t io;
	rbd_image_t image;
	int id;			/* the N of /dev/rbdN */
	int open_count;
	int users;		/* calls that use the image just now */
	bool removing;
	int64_t pool_id;
	char image_id[64];
	uint64_t snap_id, features;
};

/*
 * Maps in steps: each returns 0 or a negative errno value; the caller looks
 * between them whether the writer is still there.
 */
int device_connect(struct device *device);
int device_open(struct device *device);
int device_lock(struct device *device);
/* Undoes whatever steps were done. */
void device_close(struct device *device);
const char *device_client_addr(const struct device *device);
const char *device_client_id(const struct device *device);
const char *device_fsid(const struct device *device);

/* standin-map.c: add and remove as jobs that their writers may leave */

struct delay {
	double seconds;		/* 0: none */
	bool done_first;	/* wait after the work, not before it */
	bool unkillable;
};

struct fault {
	int error;		/* positive errno value, 0: none */
	int times;
};

struct state {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct device *devices;
	uint64_t features;	/* supported_features */
	struct delay map_delay, unmap_delay;
	struct fault map_fault, unmap_fault;
	unsigned int releases;	/* counts `release`: ends delays */
	unsigned long mapped, unmapped, failed, undone;
};

extern struct state state;

/* True once the writer, thread @tid, has been killed. */
typedef bool killed_fn(pid_t tid);

int krbd_add(const char *text, pid_t tid, killed_fn *killed);
int krbd_remove(const char *text, pid_t tid, killed_fn *killed);
/* With state.lock held. */
struct device *device_find(int id);
/* Keeps the image open until device_put(); NULL if there is none. */
struct device *device_get(int id);
void device_put(struct device *device);

/* standin-ctl.c: what tests ask for, and the keys of the writers */

int control_start(const char *path);
/* The client's side: sends the words, prints the answer. */
int control_ask(const char *path, int argc, char **argv);
/* Base64 of the key @name in the keyrings of thread @tid; false: none. */
bool key_find(pid_t tid, const char *name, char *out, size_t size);

#endif /* STANDIN_H */
