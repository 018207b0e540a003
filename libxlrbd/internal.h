/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libxlrbd share, grouped by file: a map of the library.
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
/* Makes any bytes fit to print: control characters become '?'. */
void xlrbd__printable(char *text);

/* deadline.c: every wait ends at one of these, never after a count */

struct xlrbd__deadline {
	int64_t end_ms;		/* CLOCK_MONOTONIC */
};

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

/* "pool/ns/image@snap" for messages; freed by the caller. */
char *xlrbd__spec_name(const struct xlrbd_spec *spec);
bool xlrbd__mode_writes(enum xlrbd_mode mode);

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
/* Is @addr, "ip:port/nonce", an address of this host? */
bool xlrbd__host_has_address(const char *addr);

/* cookie.c: one lock entry, as text and as a struct */

struct xlrbd__cookie {
	bool held;		/* else pending */
	enum xlrbd_mode mode;
	struct xlrbd__host host;
	unsigned int domid, devid;
	char uuid[37];		/* of the domain */
	int64_t time;		/* seconds since 1970, by the host's clock */
	char addr[64];		/* krbd's client, once held: "ip:0/nonce" */
	char snap[512];		/* snapshot mapped, or "" */
	char domain[256];	/* the domain's name */
};

#define XLRBD__COOKIE_MAX 3072

void xlrbd__cookie_format(const struct xlrbd__cookie *cookie,
			  char out[XLRBD__COOKIE_MAX]);
/* False if the text is not one of ours, or of a later version. */
bool xlrbd__cookie_parse(const char *text, struct xlrbd__cookie *cookie_out);

/* ceph.c, ceph-image.c, ceph-lock.c: the only ones with librados and librbd */

struct xlrbd__ceph;		/* a connection, with a pool once opened */

/* What an image is, whatever its name: enough to find its locks again. */
struct xlrbd__image {
	char fsid[37];
	int64_t pool_id;
	int64_t data_pool_id;	/* -1: data is in the pool itself */
	char pool[256], ns[256], name[512], snap[512];
	char id[64];
	uint64_t features;
};

struct xlrbd__locker {
	char *client;		/* "client.4123" */
	char *cookie;
	char *addr;
};

struct xlrbd__lockers {
	size_t n;
	struct xlrbd__locker *v;
	char tag[64];
	bool exclusive;
};

/* Connects as @spec says; this and all later calls end at @deadline. */
int xlrbd__ceph_connect(struct xlrbd_ctx *ctx, const struct xlrbd_spec *spec,
			const struct xlrbd__deadline *deadline,
			struct xlrbd__ceph **ceph_out) XLRBD__CHECKED;
/* Gives the calls from now on another deadline, which must stay in place. */
void xlrbd__ceph_until(struct xlrbd__ceph *ceph,
		       const struct xlrbd__deadline *deadline);
void xlrbd__ceph_close(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph);
/* Opens read-only, checks that the image is one that krbd can serve. */
int xlrbd__ceph_open_image(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd_spec *spec, const char *what,
			   struct xlrbd__image *image_out) XLRBD__CHECKED;
/* The sentence for what an operation on the cluster came back with. */
int xlrbd__ceph_fail(struct xlrbd_ctx *ctx, const struct xlrbd__ceph *ceph,
		     int r, const char *tried, const char *what);
/* Does a living client at @addr watch the image?  Or a negative errno value. */
int xlrbd__ceph_is_watched(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd__image *image, const char *what,
			   const char *addr) XLRBD__CHECKED;
/* Calls @fn for each image of the pool, until it fails. */
int xlrbd__ceph_each_image(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd_spec *spec,
			   int (*fn)(void *data,
				     const struct xlrbd__image *image),
			   void *data) XLRBD__CHECKED;
/* For remove: the pool of an image that is known by id. */
int xlrbd__ceph_open_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  const struct xlrbd__image *image) XLRBD__CHECKED;
/* Runs a monitor command, a JSON string; the answer is the caller's to free. */
int xlrbd__ceph_ask(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		    const char *command, char **answer_out) XLRBD__CHECKED;
/* What this connection's configuration says, "" if nothing. */
void xlrbd__ceph_conf(struct xlrbd__ceph *ceph, const char *option, char *out,
		      size_t size);
/* Who this connection is to the cluster: "client.xen". */
const char *xlrbd__ceph_entity(const struct xlrbd__ceph *ceph);
/*
 * The operations on the header object's locks.  They return 0 or a
 * negative errno value and leave the sentence to the caller.
 */
int xlrbd__ceph_lock_shared(struct xlrbd__ceph *ceph,
			    const struct xlrbd__image *image, const char *name,
			    const char *tag, const char *cookie)
	XLRBD__CHECKED;
/* No lock of that name: 0 lockers. */
int xlrbd__ceph_lock_list(struct xlrbd__ceph *ceph,
			  const struct xlrbd__image *image, const char *name,
			  struct xlrbd__lockers *lockers_out) XLRBD__CHECKED;
int xlrbd__ceph_lock_break(struct xlrbd__ceph *ceph,
			   const struct xlrbd__image *image, const char *name,
			   const char *client, const char *cookie)
	XLRBD__CHECKED;
void xlrbd__lockers_dispose(struct xlrbd__lockers *lockers);
/* The name of this connection's entries: "client.4123". */
void xlrbd__ceph_client(struct xlrbd__ceph *ceph, char out[32]);

/* access.c: what the kernel has to be told to reach an image */

struct xlrbd__access {
	char *monitors;		/* "ip:port,ip:port" */
	char entity[80];
	const char *ms_mode;	/* to add to the map options, or NULL */
	unsigned char key[256];	/* in the kernel's form; secret */
	size_t key_len;		/* 0: no authentication */
};

int xlrbd__access_find(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const struct xlrbd_spec *spec,
		       struct xlrbd__access *access_out) XLRBD__CHECKED;
void xlrbd__access_wipe(struct xlrbd__access *access);
/* -ENOSPC if the image's pool takes no more writes. */
int xlrbd__pool_check_full(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd__image *image) XLRBD__CHECKED;

/* features.c: image features by name */

bool xlrbd__image_has_exclusive_lock(const struct xlrbd__image *image);
/* "journaling, migrating" */
void xlrbd__feature_names(uint64_t features, char *out, size_t size);

/* keyring.c: a cephx key out of a keyring file */

/*
 * @paths is a comma separated list, the first file that exists counts.
 * Returns 0 with the base64 text in @out, -ENOENT if there is no such file or
 * no key of @entity in it, or what reading it gave; sets no sentence.
 */
int xlrbd__keyring_read(const char *paths, const char *entity, char *out,
			size_t size) XLRBD__CHECKED;

/* mon.c: what the monitors answer, as JSON */

/* The monitors' addresses of @type "v1" or "v2"; freed by caller, or NULL. */
char *xlrbd__mon_addresses(const char *mon_dump, const char *type);
bool xlrbd__mon_pool_is_full(const char *pool_details, int64_t pool_id);

/* lock.c: who may hold an image */

/* Our entry, as far as it has come. */
struct xlrbd__lock {
	char name[16];		/* of the cls_lock */
	char client[32];
	char pending[XLRBD__COOKIE_MAX];	/* "" when not registered */
	char held[XLRBD__COOKIE_MAX];
};

/* The two names under which entries can be. */
extern const char *const xlrbd__lock_names[2];

bool xlrbd__lock_compatible(enum xlrbd_mode a, enum xlrbd_mode b);
const char *xlrbd__lock_name(const struct xlrbd__image *image);
/* Fills in @lock for a registration as @me, registering nothing yet. */
void xlrbd__lock_prepare(struct xlrbd__lock *lock, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image,
			 const struct xlrbd__cookie *me);
/*
 * Registers, then checks.  After a failure the entry may be there: withdraw.
 */
int xlrbd__lock_register(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image,
			 const struct xlrbd__cookie *me, const char *what,
			 const struct xlrbd__deadline *deadline,
			 struct xlrbd__lock *lock) XLRBD__CHECKED;
/* The disk is mapped by @me->addr: what promotion will add. */
void xlrbd__lock_prepare_held(struct xlrbd__lock *lock,
			      const struct xlrbd__cookie *me);
/* Pending becomes held. */
int xlrbd__lock_promote(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			const struct xlrbd__image *image, const char *what,
			struct xlrbd__lock *lock) XLRBD__CHECKED;
/* Takes back what is registered; idempotent. */
int xlrbd__lock_withdraw(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image,
			 struct xlrbd__lock *lock, const char *what);

/* krbd.c: the only file that touches /sys/bus/rbd */

struct xlrbd__device {
	int id;			/* of /dev/rbdID, -1 if not mapped */
	unsigned int major, minor;
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
/*
 * Unmaps /dev/rbd<device->id> if it still is a map of @image by the client
 * that was recorded; a device that is gone or is another's is left alone.
 */
int xlrbd__krbd_unmap(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		      const struct xlrbd__device *device, const char *what,
		      const struct xlrbd__deadline *deadline) XLRBD__CHECKED;

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
};

int xlrbd__run_write(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		     const struct xlrbd__record *record) XLRBD__CHECKED;
/* 0, or -ENOENT without a sentence if there is no record. */
int xlrbd__run_read(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		    struct xlrbd__record *record_out) XLRBD__CHECKED;
/*
 * The vbds that have a record, or had a helper that was killed, as an array of
 * *@n_out with only path, domid and devid filled in; freed by the caller.  The
 * same one may be there twice.
 */
int xlrbd__run_list(struct xlrbd_ctx *ctx, struct xlrbd__vbd **vbds_out,
		    size_t *n_out) XLRBD__CHECKED;
void xlrbd__record_dispose(struct xlrbd__record *record);
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
void xlrbd__run_unlock(int fd);

/* attach.c, detach.c: the story of a disk; see attach.h */

/* xlrbd_vbd_remove() within another call: keeps an earlier sentence. */
int xlrbd__vbd_undo(struct xlrbd_ctx *ctx, const char *path) XLRBD__CHECKED;

/* gc.c: what this host has left behind */

/*
 * Undoes the records of @image (all records if NULL) whose vbd is gone;
 * returns how many, or the first failure.
 */
int xlrbd__gc_records(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
		      const struct xlrbd__image *image) XLRBD__CHECKED;
/*
 * Breaks the entries that this host has left in the locks of @image, in this
 * life or an earlier one; returns how many, or a failure.
 */
int xlrbd__gc_entries(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
		      struct xlrbd__ceph *ceph,
		      const struct xlrbd__image *image, const char *what)
	XLRBD__CHECKED;

#endif /* XLRBD_INTERNAL_H */
