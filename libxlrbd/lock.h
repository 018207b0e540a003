/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who holds an image, grouped by file; see internal.h, which includes this.
 */
#ifndef XLRBD_LOCK_H
#define XLRBD_LOCK_H

/* cookie.c: one lock entry, as text and as a struct */

struct xlrbd__cookie {
	enum xlrbd_state state;
	enum xlrbd_mode mode;
	struct xlrbd__host host;
	unsigned int domid, devid;
	unsigned int target;	/* the domid that domid is a stub for, or 0 */
	char uuid[37];		/* of the domain */
	/* Of the attach, or the takeover: since 1970, by the host's clock. */
	int64_t time;
	char addr[64];		/* krbd's client, once held: "ip:0/nonce" */
	char snap[512];		/* snapshot mapped, or "" */
	char domain[256];	/* the domain's name */
};

#define XLRBD__COOKIE_MAX 3072

void xlrbd__cookie_format(const struct xlrbd__cookie *cookie,
			  char out[XLRBD__COOKIE_MAX]);
/* False if the text is not one of ours, or of a later version. */
bool xlrbd__cookie_parse(const char *text, struct xlrbd__cookie *cookie_out);

/* What xl appends to the name of a domain that arrives (xen: xl_vmcontrol.c). */
#define XLRBD__INCOMING "--incoming"

/* rules.c: who may hold an image together with whom; pure */

/* Of a domain's name without what xl appends while it migrates. */
size_t xlrbd__own_name_length(const char *domain);
bool xlrbd__lock_compatible(enum xlrbd_mode a, enum xlrbd_mode b);
bool xlrbd__lock_conflicts(const struct xlrbd__cookie *me,
			   const struct xlrbd__cookie *other);
/* Does @tombstone forbid @me, which migrates, to come? */
bool xlrbd__lock_bars(const struct xlrbd__cookie *tombstone,
		      const struct xlrbd__cookie *me);

/* lock.c: keeping those rules against others who move at the same time */

/*
 * All entries carry one tag, so that cls_lock lets them share (ceph:
 * cls_lock.cc refuses another tag with EBUSY).
 */
#define XLRBD__LOCK_TAG "xlrbd"

/* Our entry, as far as it has come. */
struct xlrbd__lock {
	char name[16];		/* of the cls_lock */
	char client[32];
	char pending[XLRBD__COOKIE_MAX];	/* "" when not registered */
	char held[XLRBD__COOKIE_MAX];
};

/* The two names under which entries can be. */
extern const char *const xlrbd__lock_names[2];

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
/*
 * For a takeover, registered already: waits until all who are pending have
 * decided.  Returns 0 if granted, more if only held entries stand in the way.
 */
int xlrbd__lock_settle(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const struct xlrbd__image *image,
		       const struct xlrbd__cookie *me, const char *what,
		       const struct xlrbd__deadline *deadline,
		       const struct xlrbd__lock *lock) XLRBD__CHECKED;
/* -EBUSY because of @other; @next says what to do about a held one. */
int xlrbd__lock_refuse(struct xlrbd_ctx *ctx, const char *what,
		       const struct xlrbd__cookie *other, const char *next);
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

/* entries.c: all entries in the locks of an image, whoever made them */

struct xlrbd__entry {
	const char *lock;	/* its name, static */
	char *client;
	char *text;		/* of the cookie */
	struct xlrbd__cookie cookie;
};

struct xlrbd__entries {
	size_t n;
	struct xlrbd__entry *v;
};

/* Others' locks, and cookies of a later version, are left out. */
int xlrbd__entries_list(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			const struct xlrbd__image *image, const char *what,
			struct xlrbd__entries *entries_out) XLRBD__CHECKED;
void xlrbd__entries_dispose(struct xlrbd__entries *entries);
/* One that is gone already is a success. */
int xlrbd__entry_break(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const struct xlrbd__image *image, const char *what,
		       const struct xlrbd__entry *entry) XLRBD__CHECKED;
/* Puts a tombstone in the place of a held entry. */
int xlrbd__entry_bury(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd__image *image, const char *what,
		      const struct xlrbd__entry *entry) XLRBD__CHECKED;

/* scan.c: all images, and their entries */

enum xlrbd__scan_for {
	XLRBD__SCAN_ENTRIES,
	XLRBD__SCAN_HOLDERS,	/* entries, and watchers of those that have any */
	XLRBD__SCAN_FEATURES,	/* neither, but what images are */
};

struct xlrbd__found {
	struct xlrbd__image image;	/* name and id; no name: a pool */
	char *what;		/* "pool/ns/image" */
	struct xlrbd__entries entries;
	struct xlrbd__watchers watchers;
	int rc;			/* why there may be more, or 0 */
	char *trouble;		/* the sentence for it, or NULL */
};

struct xlrbd__scan {
	size_t n;
	struct xlrbd__found *v;
	bool read_any;		/* a pool could be listed, empty or not */
};

/*
 * Looks at the image that @where names, or all in its pool and namespace, or, if
 * it names no pool, in every one.  What cannot be looked at is among the
 * results; an image that is named and not there is a failure.
 */
int xlrbd__scan(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		const struct xlrbd_spec *where, enum xlrbd__scan_for what,
		struct xlrbd__scan *scan_out) XLRBD__CHECKED;
void xlrbd__scan_dispose(struct xlrbd__scan *scan);
/* A pool that this cephx user may not read: others' data, in most clusters. */
bool xlrbd__found_is_not_ours(const struct xlrbd__found *found);
/* Does a living client at @addr watch the image?  Or a negative errno value. */
int xlrbd__is_watched(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd__image *image, const char *what,
		      const char *addr) XLRBD__CHECKED;

/* takeover.c: the disks of a dead host */

/*
 * Evicts from the lock of @image whoever conflicts with @me, if they are
 * dead; @lock must be registered for @me, and has been granted when this
 * returns 0.  @confirm may be NULL.
 */
int xlrbd__takeover(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		    const struct xlrbd__image *image,
		    const struct xlrbd__cookie *me, const char *what,
		    const struct xlrbd__deadline *deadline,
		    const struct xlrbd__lock *lock, xlrbd_confirm_fn *confirm,
		    void *data) XLRBD__CHECKED;

#endif /* XLRBD_LOCK_H */
