/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What attach.c, inspect.c and detach.c share: a disk on its way.
 */
#ifndef XLRBD_ATTACH_H
#define XLRBD_ATTACH_H

#include "internal.h"

/* Kept back from the deadline of add, for undoing. */
#define UNDO_MS		6000

/* One add or remove on its way.  What is NULL, -1 or empty was not reached. */
struct attach {
	struct xlrbd_ctx *ctx;
	int64_t begun_ms;			/* xlrbd__now_ms() */
	struct xlrbd__deadline work, end;
	const struct xlrbd__deadline *limit;	/* of the whole call, or NULL */
	struct xlrbd__vbd vbd;
	struct xlrbd__store *store;
	struct xlrbd__ceph *ceph;
	struct xlrbd__record record;
	struct xlrbd__cookie me;
	bool recorded;
	bool made;		/* the image is new */
	bool must_exist;	/* it is not to be made */
	bool only_look;		/* nothing is to be changed */
	int vbd_lock, image_lock;
	char *what;		/* "rbd/web1", for messages */
	char *short_name;	/* the other name the image may have, or NULL */
};

/* attach.c */

/* @limit, if there is one, ends all of it sooner than the disk's timeout. */
int xlrbd__attach_begin(struct attach *a, struct xlrbd_ctx *ctx,
			const char *path,
			const struct xlrbd__deadline *limit) XLRBD__CHECKED;
/* Frees and unlocks all that was reached; undoes nothing. */
void xlrbd__attach_end(struct attach *a);
/* Counted from the beginning of the call. */
void xlrbd__attach_set_deadlines(struct attach *a, unsigned int timeout_s);
/* From what the vbd says to a device that is mapped and held. */
int xlrbd__attach_take(struct attach *a) XLRBD__CHECKED;
/* Sets what messages call the image. */
int xlrbd__attach_set_what(struct attach *a, const char *pool, const char *ns,
			   const char *image, const char *snap)
	XLRBD__CHECKED;

/* inspect.c */

/* What xenstore would say of @disk once its domain is there. */
int xlrbd__attach_describe(struct attach *a, const char *domain,
			   const struct xlrbd_disk *disk) XLRBD__CHECKED;
/* Understands the target, connects, finds the image and what it is. */
int xlrbd__attach_inspect(struct attach *a) XLRBD__CHECKED;

/* detach.c */

/*
 * Takes back what the record says, as far as that goes; the record itself
 * goes when nothing is left that it would have to remember.
 */
int xlrbd__attach_undo(struct attach *a) XLRBD__CHECKED;
/* Remembers, for the next try, what of the record is left. */
void xlrbd__attach_keep_rest(struct attach *a);
/* Undoes what an earlier add of this very vbd left when it was killed. */
int xlrbd__attach_clear_leftover(struct attach *a) XLRBD__CHECKED;

#endif /* XLRBD_ATTACH_H */
