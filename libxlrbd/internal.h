/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libxlrbd share, grouped by file: with cluster.h and lock.h
 * a map of the library.
 *
 * Functions return 0 or a negative errno value after xlrbd__fail() has set
 * the sentence, unless their comment says otherwise.
 */
#ifndef XLRBD_INTERNAL_H
#define XLRBD_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "libxlrbd.h"
#include "libxlrbd-cluster.h"
#include "libxlrbd-migrate.h"

#define XLRBD__CHECKED	__attribute__((warn_unused_result))
#define XLRBD__PRINTF(f, a) __attribute__((format(printf, f, a)))
#define XLRBD__ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* error.c: the context, its one sentence and its log */

struct xlrbd_ctx {
	char error[1024];
	bool failed;		/* error holds the first failure */
	bool final;		/* see xlrbd_set_final() */
	int log_level;
	xlrbd_log_fn *log_fn;
	void *log_data;
};

/* Starts a public call: forgets the last failure. */
void xlrbd__begin(struct xlrbd_ctx *ctx);
/*
 * Keeps the sentence and returns @rc.  The first one of a call wins: what
 * goes wrong while undoing is logged only.
 */
int xlrbd__fail(struct xlrbd_ctx *ctx, int rc, const char *format, ...)
	XLRBD__PRINTF(3, 4);
int xlrbd__fail_nomem(struct xlrbd_ctx *ctx);
void xlrbd__log(struct xlrbd_ctx *ctx, int level, const char *format, ...)
	XLRBD__PRINTF(3, 4);
#define XLRBD__TIME_MAX 20
/* Seconds since 1970 as people write them, "2026-11-20 14:03". */
void xlrbd__time_text(int64_t when, char out[XLRBD__TIME_MAX]);
/* Makes any bytes fit to print: control characters become '?'. */
void xlrbd__printable(char *text);

/* deadline.c: every wait ends at one of these, never after a count */

struct xlrbd__deadline {
	int64_t end_ms;		/* CLOCK_MONOTONIC */
};

/* CLOCK_MONOTONIC */
int64_t xlrbd__now_ms(void);
void xlrbd__deadline_set(struct xlrbd__deadline *deadline, int64_t ms);
/* Milliseconds left, 0 when it is over. */
int64_t xlrbd__deadline_left(const struct xlrbd__deadline *deadline);
/*
 * Sleeps *@pause_ms, doubles it up to @max_ms, never sleeps past the end.
 * Returns false, without sleeping, when the deadline is over.
 */
bool xlrbd__deadline_pause(const struct xlrbd__deadline *deadline,
			   unsigned int *pause_ms, unsigned int max_ms);

/* spec.c: the target grammar */

#define XLRBD__DEFAULT_POOL "rbd"

/* "pool/ns/image@snap", as far as it says, for messages; freed by caller. */
char *xlrbd__spec_name(const struct xlrbd_spec *spec);
bool xlrbd__mode_writes(enum xlrbd_mode mode);
/* Can krbd and librbd be told of it? */
bool xlrbd__name_is_usable(const char *name);

/* options.c: NAME[=VALUE] */

int xlrbd__option_take(struct xlrbd_ctx *ctx, const char *text,
		       struct xlrbd_spec *spec) XLRBD__CHECKED;
/* One for all disks, at @where, "FILE:LINE". */
int xlrbd__option_take_default(struct xlrbd_ctx *ctx, const char *where,
			       const char *text, struct xlrbd_spec *spec)
	XLRBD__CHECKED;

/* escape.c: percent-encoding, for targets and cookies */

/*
 * Writes @text to @out with every byte outside [A-Za-z0-9._-] and @keep as
 * %XX; returns false if it does not fit.
 */
bool xlrbd__escape(const char *text, const char *keep, char *out, size_t size);
/* Undoes it in place.  Returns false on a malformed %XX and on %00. */
bool xlrbd__unescape(char *text);

/* host.c: who we are */

struct xlrbd__host {
	char name[65];
	char machine_id[33];
	char boot_id[37];
};

int xlrbd__host_read(struct xlrbd_ctx *ctx, struct xlrbd__host *host_out)
	XLRBD__CHECKED;
/* In the same life, that is, between two boots. */
bool xlrbd__host_same(const struct xlrbd__host *a, const struct xlrbd__host *b);
/* Is @addr, "ip:port/nonce", an address of this host? */
bool xlrbd__host_has_address(const char *addr);

#include "cluster.h"
#include "lock.h"

/* krbd.c: the only file that touches /sys/bus/rbd */

struct xlrbd__device {
	int id;			/* of /dev/rbdID, -1 if not mapped */
	unsigned int major, minor;
	int64_t since;		/* when we found it, in ns; grows until reboot */
	char client_addr[64];
};

#define XLRBD__DEVICE_INIT { .id = -1 }

/* -ENODEV if the kernel's rbd module is not there. */
int xlrbd__krbd_check(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		      bool read_only, const char *what) XLRBD__CHECKED;
int xlrbd__krbd_map(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		    const struct xlrbd__access *access, const char *line,
		    const char *what,
		    const struct xlrbd__deadline *deadline,
		    struct xlrbd__device *device_out) XLRBD__CHECKED;
/* The line that was, or would be, written to map it; freed by the caller. */
char *xlrbd__krbd_line(const struct xlrbd__image *image,
		       const struct xlrbd__access *access, const char *options,
		       bool read_only);
/*
 * Finds the map that an add made with @line and did not live to record: one
 * that none of @claimed (of @n_claimed ids) is.  -ENOENT if there is none.
 */
int xlrbd__krbd_find_lost(const struct xlrbd__image *image, const char *line,
			  const int *claimed, size_t n_claimed,
			  struct xlrbd__device *device_out) XLRBD__CHECKED;
/* Does this kernel have a map whose client is @addr? */
bool xlrbd__krbd_has_client(const char *addr);
/* And one of @image? */
bool xlrbd__krbd_has_map(const struct xlrbd__image *image, const char *addr);
/*
 * Unmaps /dev/rbd<device->id> if it still is a map of @image by the client
 * that was recorded; a device that is gone or is another's is left alone.
 */
int xlrbd__krbd_unmap(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		      const struct xlrbd__device *device, const char *what,
		      const struct xlrbd__deadline *deadline) XLRBD__CHECKED;
/* Is the device still that map of @image? */
bool xlrbd__krbd_is_mapped(const struct xlrbd__image *image,
			   const struct xlrbd__device *device);
/*
 * What the device has done so far, as a text that changes with every request;
 * 1 if requests are in flight, 0, or a negative errno value.
 */
#define XLRBD__STAT_MAX 256
int xlrbd__krbd_stat(const struct xlrbd__device *device,
		     char out[XLRBD__STAT_MAX]) XLRBD__CHECKED;

/* file.c: one-line files, and sysfs attributes that may block */

/* Reads one line without its newline; 0 or a negative errno value. */
int xlrbd__file_read(const char *dir, const char *name, char *out,
		      size_t size) XLRBD__CHECKED;
/*
 * Writes @text to @path from a child process, which first puts @key (if any)
 * into its process keyring as @key_name.  A write that the kernel does not
 * finish by @deadline is killed, -ETIMEDOUT; one that cannot even be killed
 * is left behind and does not hold up the caller.
 */
int xlrbd__file_write(const char *path, const char *text,
		       const char *key_name, const void *key, size_t key_len,
		       const struct xlrbd__deadline *deadline) XLRBD__CHECKED;

/* store.c: the only file that includes xenstore.h */

struct xlrbd__store;

/* Of domain 0, and where it cannot be read: equal ones mean nothing. */
#define XLRBD__NO_UUID "00000000-0000-0000-0000-000000000000"

/* What xenstore says of one virtual disk. */
struct xlrbd__vbd {
	char path[128];		/* of the backend, as given */
	unsigned int domid, devid;
	char *params;		/* target=, verbatim */
	bool writable;
	bool published;
	char uuid[37];		/* of the domain; zeros for domain 0 */
	char domain[256];	/* its name */
	bool nameless;		/* unreadable: that is made up, for people */
	char vdev[32];		/* "xvda" */
	unsigned int target;	/* whose stub domain it is; 0: nobody's */
};

/* Takes domid and devid out of a path; the rest is as after dispose. */
int xlrbd__vbd_parse_path(struct xlrbd_ctx *ctx, const char *path,
			  struct xlrbd__vbd *vbd_out) XLRBD__CHECKED;
void xlrbd__vbd_dispose(struct xlrbd__vbd *vbd);
int xlrbd__store_open(struct xlrbd_ctx *ctx, struct xlrbd__store **store_out)
	XLRBD__CHECKED;
void xlrbd__store_close(struct xlrbd__store *store);
/* Fills in the rest of a vbd whose path is parsed. */
int xlrbd__store_read_vbd(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
			  struct xlrbd__vbd *vbd) XLRBD__CHECKED;
/* Does this host still have the domain, or did its id go to another? */
bool xlrbd__store_domain_exists(struct xlrbd__store *store,
				unsigned int domid, const char *uuid);
/* Does libxl still know the disk? */
bool xlrbd__store_vbd_exists(struct xlrbd__store *store,
			     const struct xlrbd__vbd *vbd);
/* Has the guest closed the disk, and libxl given it up? */
bool xlrbd__store_vbd_is_closed(struct xlrbd__store *store,
				const struct xlrbd__vbd *vbd);
/* -ECANCELED if the backend no longer waits for a device. */
int xlrbd__store_publish(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
			 const struct xlrbd__vbd *vbd,
			 const struct xlrbd__device *device,
			 const struct xlrbd__deadline *deadline)
	XLRBD__CHECKED;
int xlrbd__store_report(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
			const struct xlrbd__vbd *vbd, const char *message) XLRBD__CHECKED;

/* blkback.c: the kernel's block backend, seen from sysfs */

/* Waits until blkback has let go of the vbd's device. */
int xlrbd__blkback_wait_gone(struct xlrbd_ctx *ctx,
			     struct xlrbd__store *store,
			     const struct xlrbd__vbd *vbd,
			     const struct xlrbd__deadline *deadline)
	XLRBD__CHECKED;

/* run.c: what this host remembers in /run until it reboots */

/* What add did for a vbd, so that remove can undo it. */
struct xlrbd__record {
	struct xlrbd__image image;
	struct xlrbd__device device;
	struct xlrbd__lock lock;
	struct xlrbd_spec spec;	/* how to connect: id, conf, cluster */
	char *line;		/* written to map it; NULL before that */
	/* Of a disk prepared for a domain that is to arrive; else NULL. */
	char *awaits;		/* its target=, verbatim */
	char uuid[37];		/* the domain's */
	bool writable;
};

/* record.c; jansson.h has json_t */
struct json_t *xlrbd__record_to_json(const struct xlrbd__record *record)
	XLRBD__CHECKED;
/*
 * Into a zeroed @record; false, and nothing to dispose of, if it is not one of
 * this version.
 */
bool xlrbd__record_from_json(const struct json_t *json,
			     struct xlrbd__record *record) XLRBD__CHECKED;
void xlrbd__record_dispose(struct xlrbd__record *record);

int xlrbd__run_write(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		     const struct xlrbd__record *record) XLRBD__CHECKED;
/* 0, or -ENOENT without a sentence if there is no record. */
int xlrbd__run_read(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		    struct xlrbd__record *record_out) XLRBD__CHECKED;
/*
 * The vbds that have a record, or had a helper that was killed, as an array of
 * *@n_out with only path, domid and devid filled in; freed by the caller.
 */
int xlrbd__run_list(struct xlrbd_ctx *ctx, struct xlrbd__vbd **vbds_out,
		    size_t *n_out) XLRBD__CHECKED;
int xlrbd__run_delete(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd);
/*
 * Locks against other helpers on this host; @fd_out is given to unlock().
 * The file goes with the last user.
 */
int xlrbd__run_lock_vbd(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
			const struct xlrbd__deadline *deadline, int *fd_out)
	XLRBD__CHECKED;
int xlrbd__run_lock_image(struct xlrbd_ctx *ctx,
			  const struct xlrbd__image *image,
			  const struct xlrbd__deadline *deadline, int *fd_out)
	XLRBD__CHECKED;
/* Held as long as somebody receives the domain. */
int xlrbd__run_lock_arrival(struct xlrbd_ctx *ctx, const char *uuid,
			    const struct xlrbd__deadline *deadline,
			    int *fd_out) XLRBD__CHECKED;
void xlrbd__run_unlock(int fd);

/* attach.c, detach.c: the story of a disk; see attach.h */

/*
 * xlrbd_vbd_remove() for a vbd that libxl does not know; one that it does know
 * is left alone, 0, and so is one that is still to arrive unless
 * @even_awaited.  Returns more if there was something to undo.  Ends at
 * @limit, if there is one, however long the record allows.
 */
int xlrbd__vbd_undo_lost(struct xlrbd_ctx *ctx, const char *path,
			 bool even_awaited,
			 const struct xlrbd__deadline *limit) XLRBD__CHECKED;

/* arrive.c: disks of domains that are to arrive */

/* Is the vbd's disk prepared for a domain that somebody is receiving? */
bool xlrbd__arrival_awaits(struct xlrbd_ctx *ctx,
			   const struct xlrbd__vbd *vbd);

/* name.c: images named after their domain */

/*
 * Both are freed by the caller, also after a failure; the second one is NULL
 * if this is not the domain's first disk.
 */
int xlrbd__name_after_domain(struct xlrbd_ctx *ctx,
			     const struct xlrbd__vbd *vbd, char **name_out,
			     char **short_name_out) XLRBD__CHECKED;

/* clone.c: disks that are made at the first attach */

/*
 * Makes the image of @spec out of its base, if it is not there or was left
 * half made.  Of several at the same time one makes it, the others wait.
 */
int xlrbd__clone_make(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *spec, const char *what,
		      const struct xlrbd__deadline *deadline) XLRBD__CHECKED;
/* Half made, now or by one that was killed?  1, 0 or a failure. */
int xlrbd__clone_is_being_made(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			       const struct xlrbd_spec *spec, const char *what)
	XLRBD__CHECKED;
/* To the size= of @spec, if that is more than it has. */
int xlrbd__clone_grow(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *spec,
		      const struct xlrbd__image *image, const char *what)
	XLRBD__CHECKED;
/*
 * Deletes the image if this software made it as ephemeral and nobody holds it
 * but @own (or nobody, if NULL).  1 if it did, 0 or a failure.
 */
int xlrbd__clone_drop(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd__image *image,
		      const struct xlrbd__lock *own, const char *what)
	XLRBD__CHECKED;

/* definition.c: what a domain is, as text; definitions.c: kept in a pool */

/* Freed by the caller; NULL if it is not UTF-8, or there is no memory. */
char *xlrbd__definition_encode(const struct xlrbd_definition *d);
/* 0, -ENOMEM, or -EPROTO if the text is not of this format. */
int xlrbd__definition_decode(const char *text, struct xlrbd_definition *d)
	XLRBD__CHECKED;

/* gc.c: what this host has left behind */

/*
 * Undoes the records of @image (all records if NULL) whose vbd is gone, until
 * @limit if there is one; returns how many, or the first failure.
 */
int xlrbd__gc_records(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
		      const struct xlrbd__image *image,
		      const struct xlrbd__deadline *limit) XLRBD__CHECKED;
/*
 * Breaks the entries that this host has left in the locks of @image, in this
 * life or an earlier one; returns how many, or a failure.
 */
int xlrbd__gc_entries(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
		      struct xlrbd__ceph *ceph,
		      const struct xlrbd__image *image, const char *what)
	XLRBD__CHECKED;

#endif /* XLRBD_INTERNAL_H */
