// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * clone= and ephemeral: disks that are made at the first attach, and deleted
 * at the last detach.
 *
 * Making one takes librbd many requests, and we may be killed between any two.
 * So a note is left beside the image while it is made: what has a note is not
 * finished, and is attached by nobody.  The lock on the note says whether
 * somebody is at it; the cluster ends it when no helper can live any more.
 *
 * A finished one carries a mark, so that nothing is ever deleted that this
 * software did not make.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "internal.h"

/* No helper lives longer: libxl kills it after 40 s. */
#define MAKING_S	45
/* "TIME BASE" */
#define NOTE_MAX	2048
#define EPHEMERAL	"ephemeral"
#define KEPT		"kept"

/* Takes a valid "[POOL[/NAMESPACE]/]IMAGE@SNAPSHOT" apart, in place. */
static void split_base(char *text, struct xlrbd_spec *base)
{
	char *parts[3];
	size_t n = 0;

	memset(base, 0, sizeof(*base));
	base->snap = strchr(text, '@');
	*base->snap++ = '\0';
	while (n < 3 && (parts[n] = strsep(&text, "/")))
		n++;
	base->image = parts[n - 1];
	if (n > 1)
		base->pool = parts[0];
	if (n > 2)
		base->ns = parts[1];
}

static int clone_now(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		     const struct xlrbd_spec *spec, const char *what)
{
	char *text = strdup(spec->base);
	struct xlrbd_spec base;
	char mark[1100];
	int rc;

	if (!text)
		return xlrbd__fail_nomem(ctx);
	split_base(text, &base);
	/* Without a pool, where the image is to be. */
	if (!base.pool) {
		base.pool = spec->pool ? spec->pool :
					 (char *)XLRBD__DEFAULT_POOL;
		base.ns = spec->ns;
	}
	snprintf(mark, sizeof(mark), "%s %s",
		 spec->ephemeral ? EPHEMERAL : KEPT, spec->base);
	rc = xlrbd__ceph_clone(ctx, ceph, &base, spec->base, spec->image,
			       spec->size, mark);
	free(text);
	if (!rc)
		xlrbd__log(ctx, LOG_NOTICE, "%s: cloned from %s%s", what,
			   spec->base,
			   spec->ephemeral ? ", until its last detach" : "");
	return rc;
}

/* What an earlier try has left, if there is a note of one. */
static int clear_way(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		     const struct xlrbd_spec *spec, const char *what)
{
	char note[NOTE_MAX];
	int r;

	r = xlrbd__ceph_note_read(ceph, spec->image, note, sizeof(note));
	if (r > 0)
		r = xlrbd__ceph_remove_made(ceph, spec->image, atoll(note),
					    MAKING_S);
	if (r == -EEXIST)
		return xlrbd__fail(ctx, r,
				   "%s: there is a note that it is half made, but it is of another time; if it is whole, `rados rm` the object xlrbd_making.%s in its pool",
				   what, spec->image);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r,
					"remove the interrupted clone", what);
	if (r)
		xlrbd__log(ctx, LOG_NOTICE,
			   "%s: its clone was interrupted; making it again",
			   what);
	return 0;
}

/* Leaves the note where something half made may be left. */
static int make_noted(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *spec, const char *what)
{
	int64_t now = time(NULL);
	char note[NOTE_MAX];
	int rc, r;

	snprintf(note, sizeof(note), "%lld %s", (long long)now, spec->base);
	r = xlrbd__ceph_note_write(ceph, spec->image, note);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "prepare", what);
	rc = clone_now(ctx, ceph, spec, what);
	if (rc < 0 && xlrbd__ceph_remove_made(ceph, spec->image, now,
					      MAKING_S) < 0)
		return rc;
	r = xlrbd__ceph_note_remove(ceph, spec->image);
	if (!rc && r < 0)
		rc = xlrbd__ceph_fail(ctx, ceph, r, "finish", what);
	return rc;
}

/* With the lock on its note. */
static int make_locked(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const struct xlrbd_spec *spec, const char *what)
{
	int rc, r;

	rc = clear_way(ctx, ceph, spec, what);
	if (!rc)
		rc = xlrbd__ceph_image_exists(ctx, ceph, spec, spec->image);
	if (!rc)
		return make_noted(ctx, ceph, spec, what);
	if (rc < 0)
		return rc;
	/* Somebody else has made it: what is left of the note is the lock. */
	r = xlrbd__ceph_note_remove(ceph, spec->image);
	return r < 0 ? xlrbd__ceph_fail(ctx, ceph, r, "finish", what) : 0;
}

int xlrbd__clone_make(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *spec, const char *what,
		      const struct xlrbd__deadline *deadline)
{
	unsigned int pause_ms = 20;
	int rc, r;

	do
		r = xlrbd__ceph_note_lock(ceph, spec->image, MAKING_S);
	while (r == -EBUSY &&
	       xlrbd__deadline_pause(deadline, &pause_ms, 500));
	if (r == -EBUSY)
		return xlrbd__fail(ctx, -EBUSY,
				   "%s: being made from %s by another attach, which may have been killed; try again in %d s",
				   what, spec->base, MAKING_S);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "make", what);
	rc = make_locked(ctx, ceph, spec, what);
	/* It has gone with the note, or there is still something to do. */
	xlrbd__ceph_note_unlock(ceph, spec->image);
	return rc;
}

int xlrbd__clone_is_being_made(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			       const struct xlrbd_spec *spec, const char *what)
{
	char note[NOTE_MAX];
	int r;

	r = xlrbd__ceph_note_read(ceph, spec->image, note, sizeof(note));
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "look at", what);
	return r;
}

int xlrbd__clone_grow(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *spec,
		      const struct xlrbd__image *image, const char *what)
{
	int r;

	if (spec->size <= image->size)
		return 0;
	r = xlrbd__ceph_grow(ceph, image->id, spec->size);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "grow", what);
	xlrbd__log(ctx, LOG_NOTICE, "%s: grown from %llu to %llu MB", what,
		   (unsigned long long)(image->size >> 20),
		   (unsigned long long)(spec->size >> 20));
	return 0;
}

/* Somebody beside @own, who may be NULL; tombstones hold nothing. */
static int is_held(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		   const struct xlrbd__image *image,
		   const struct xlrbd__lock *own, const char *what)
{
	struct xlrbd__entries entries;
	bool held = false;
	size_t i;
	int rc;

	rc = xlrbd__entries_list(ctx, ceph, image, what, &entries);
	for (i = 0; !rc && i < entries.n; i++) {
		const struct xlrbd__entry *entry = &entries.v[i];

		if (entry->cookie.state == XLRBD_FENCED ||
		    (own && (!strcmp(entry->text, own->held) ||
			     !strcmp(entry->text, own->pending))))
			continue;
		held = true;
	}
	xlrbd__entries_dispose(&entries);
	return rc < 0 ? rc : held;
}

/*
 * While our entry is still there, so that nobody gets the image who would find
 * it gone the next moment: who comes now conflicts with it, or, by migration,
 * has a watch that librbd meets.  As r! one may come and find it gone.
 */
int xlrbd__clone_drop(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd__image *image,
		      const struct xlrbd__lock *own, const char *what)
{
	char mark[1200];
	int held, r;

	r = xlrbd__ceph_clone_mark(ceph, image->id, mark, sizeof(mark));
	if (r == -ENOENT || (!r && strncmp(mark, EPHEMERAL " ",
					   sizeof(EPHEMERAL)) != 0))
		return 0;
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "look at", what);
	held = is_held(ctx, ceph, image, own, what);
	if (held < 0)
		return held;
	if (held)
		return 0;
	r = xlrbd__ceph_trash_image(ceph, image->name, image->id);
	if (r == -EBUSY) {
		xlrbd__log(ctx, LOG_INFO, "%s: ephemeral, but in use: kept",
			   what);
		return 0;
	}
	if (r == -ETIMEDOUT)
		return xlrbd__fail(ctx, r,
				   "%s: ephemeral, and not deleted in time: what is left of it is in the pool's trash; if `rbd trash ls` still has it after `block-rbd gc`, `rbd trash rm` it",
				   what);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r, "delete the ephemeral",
					what);
	xlrbd__log(ctx, LOG_NOTICE, "%s: ephemeral: deleted", what);
	return 1;
}
