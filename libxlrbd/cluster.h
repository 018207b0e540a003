/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cluster's side of the library, grouped by file; see internal.h, which
 * includes this.
 */
#ifndef XLRBD_CLUSTER_H
#define XLRBD_CLUSTER_H

/* ceph*.c: the only ones with librados and librbd */

struct xlrbd__ceph;		/* a connection, with a pool once opened */

/* What an image is, whatever its name: enough to find its locks again. */
struct xlrbd__image {
	char fsid[37];
	int64_t pool_id;
	int64_t data_pool_id;	/* -1: data is in the pool itself */
	char pool[256], ns[256], name[512], snap[512];
	char id[64];
	uint64_t features;
	uint64_t size;		/* in bytes */
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
/*
 * Opens the pool and namespace of @spec for what follows, and says in @image
 * which ones they are.
 */
int xlrbd__ceph_enter(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *spec,
		      struct xlrbd__image *image) XLRBD__CHECKED;
/* Opens read-only, checks that the image is one that krbd can serve. */
int xlrbd__ceph_open_image(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd_spec *spec, const char *what,
			   struct xlrbd__image *image_out) XLRBD__CHECKED;
/*
 * Fills in what the header of an image says that is known by id; -ENOENT,
 * without a sentence, if it is gone.
 */
int xlrbd__ceph_describe(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 struct xlrbd__image *image, const char *what)
	XLRBD__CHECKED;
/* The sentence for what an operation on the cluster came back with. */
int xlrbd__ceph_fail(struct xlrbd_ctx *ctx, const struct xlrbd__ceph *ceph,
		     int r, const char *tried, const char *what);
/* The addresses of the clients that watch an image. */
struct xlrbd__watchers {
	size_t n;
	char **v;
};

int xlrbd__ceph_watchers(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image, const char *what,
			 struct xlrbd__watchers *watchers_out) XLRBD__CHECKED;
void xlrbd__watchers_dispose(struct xlrbd__watchers *watchers);
bool xlrbd__watchers_have(const struct xlrbd__watchers *watchers,
			  const char *addr);
/*
 * Calls @fn for each pool and namespace, until it fails; changes what pool the
 * connection has open.
 */
typedef int xlrbd__pool_fn(void *data, const struct xlrbd_spec *pool);
int xlrbd__ceph_each_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  xlrbd__pool_fn *fn, void *data) XLRBD__CHECKED;
/*
 * The images of @pool, which is opened, with name and id, as an array that the
 * caller frees.
 */
int xlrbd__ceph_list_images(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			    const struct xlrbd_spec *pool, const char *what,
			    struct xlrbd__image **images_out, size_t *n_out)
	XLRBD__CHECKED;
/*
 * The same connection for another thread, or another pool at the same time; to
 * be closed before the original.
 */
int xlrbd__ceph_share(struct xlrbd_ctx *ctx, const struct xlrbd__ceph *ceph,
		      struct xlrbd__ceph **copy_out) XLRBD__CHECKED;
/* The pool of an image that is known by id. */
int xlrbd__ceph_open_pool(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  const struct xlrbd__image *image) XLRBD__CHECKED;
/*
 * Does its name still lead to it?  Asked with our entry in its lock, since when
 * nobody deletes it.
 */
int xlrbd__ceph_image_still(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			    const struct xlrbd__image *image, const char *what)
	XLRBD__CHECKED;
/* Is there an image of that name in the pool of @spec?  1, 0 or a failure. */
int xlrbd__ceph_image_exists(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			     const struct xlrbd_spec *spec, const char *name)
	XLRBD__CHECKED;
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
/*
 * Blocklists the client at @addr for @seconds, and makes sure that the cluster
 * means it: that it lasts that long, and that no OSD that answers this
 * connection from now on still serves it.  -EEXIST if a shorter fence is there
 * already.
 */
int xlrbd__ceph_fence(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const char *addr, int64_t seconds) XLRBD__CHECKED;
/* The monitors' blocklist, in JSON; freed by the caller. */
int xlrbd__ceph_blocklist(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  char **list_out) XLRBD__CHECKED;
/* The name of this connection's entries: "client.4123". */
void xlrbd__ceph_client(struct xlrbd__ceph *ceph, char out[32]);

/*
 * ceph-clone.c: making images, in the pool that was opened.  Where there is no
 * context they return 0 or a negative errno value and leave the sentence to
 * the caller.
 */

/* A note that image @name is being made, and the lock on it. */
int xlrbd__ceph_note_lock(struct xlrbd__ceph *ceph, const char *name,
			  unsigned int seconds) XLRBD__CHECKED;
int xlrbd__ceph_note_write(struct xlrbd__ceph *ceph, const char *name,
			   const char *text) XLRBD__CHECKED;
/* Returns 1 if there is one. */
int xlrbd__ceph_note_read(struct xlrbd__ceph *ceph, const char *name,
			  char *out, size_t size) XLRBD__CHECKED;
/* When it was written, by the clock of its OSD. */
int xlrbd__ceph_note_time(struct xlrbd__ceph *ceph, const char *name,
			  int64_t *time_out) XLRBD__CHECKED;
int xlrbd__ceph_note_unlock(struct xlrbd__ceph *ceph, const char *name);
/* The lock goes with it. */
int xlrbd__ceph_note_remove(struct xlrbd__ceph *ceph, const char *name)
	XLRBD__CHECKED;
/*
 * Makes @name out of the snapshot @from, at least @size bytes large if that is
 * not 0, and marks it with @mark when it is finished.
 */
int xlrbd__ceph_clone(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *from, const char *from_name,
		      const char *name, uint64_t size, const char *mark)
	XLRBD__CHECKED;
/* What the image was marked with; -ENOENT if it was not. */
int xlrbd__ceph_clone_mark(struct xlrbd__ceph *ceph, const char *id, char *out,
			   size_t size) XLRBD__CHECKED;
int xlrbd__ceph_grow(struct xlrbd__ceph *ceph, const char *id, uint64_t size)
	XLRBD__CHECKED;
/*
 * Removes image @name if it was created in the @seconds after @since; returns 1
 * if it did, 0 if there is no such image, -EEXIST if it is of another time.
 */
int xlrbd__ceph_remove_made(struct xlrbd__ceph *ceph, const char *name,
			    int64_t since, unsigned int seconds)
	XLRBD__CHECKED;
int xlrbd__ceph_trash_image(struct xlrbd__ceph *ceph, const char *name,
			    const char *id) XLRBD__CHECKED;

/* ceph-map.c: an object that maps keys to values, in the pool that was opened */

/* One of several changes that happen together or not at all. */
struct xlrbd__map_change {
	const char *key;
	const char *old;	/* "": not there */
	const char *new;	/* NULL: to be removed */
};

/* -ECANCELED if one of the old values is another by now. */
int xlrbd__ceph_map_change(struct xlrbd__ceph *ceph, const char *object,
			   const struct xlrbd__map_change *changes, size_t n)
	XLRBD__CHECKED;
typedef int xlrbd__map_fn(void *data, const char *key, const char *value);
/* Calls @fn for each key that begins with @prefix, until it returns not 0. */
int xlrbd__ceph_map_each(struct xlrbd__ceph *ceph, const char *object,
			 const char *prefix, xlrbd__map_fn *fn, void *data)
	XLRBD__CHECKED;
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

/* reach.c: does somebody take connections? */

/*
 * Tries all of "ip:port,[ip]:port,..." at the same time, for @ms at most; those
 * that do not answer go to @silent_out, in the same form.  Returns how many
 * answer; sets no sentence.
 */
unsigned int xlrbd__reach(const char *addresses, int64_t ms, char *silent_out,
			  size_t size);

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
/* Until when @addr is blocklisted, in seconds since 1970; 0 if it is not. */
int64_t xlrbd__mon_blocklisted_until(const char *blocklist, const char *addr);

#endif /* XLRBD_CLUSTER_H */
