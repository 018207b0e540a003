// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * All entries of this software in the locks of an image, whoever made them:
 * for those who look at what is there rather than ask for admission.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

static int append(struct xlrbd__entries *entries, const char *lock,
		  struct xlrbd__lockers *lockers)
{
	struct xlrbd__entry *more;
	size_t i;

	more = realloc(entries->v, (entries->n + lockers->n + 1) *
		       sizeof(*more));
	if (!more)
		return -ENOMEM;
	entries->v = more;
	for (i = 0; i < lockers->n; i++) {
		struct xlrbd__entry *entry = &entries->v[entries->n];

		if (!xlrbd__cookie_parse(lockers->v[i].cookie, &entry->cookie))
			continue;
		entry->lock = lock;
		/* Taken over, so that disposing of lockers leaves them. */
		entry->client = lockers->v[i].client;
		entry->text = lockers->v[i].cookie;
		lockers->v[i].client = lockers->v[i].cookie = NULL;
		entries->n++;
	}
	return 0;
}

int xlrbd__entries_list(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			const struct xlrbd__image *image, const char *what,
			struct xlrbd__entries *entries_out)
{
	struct xlrbd__lockers lockers;
	size_t i;
	int r = 0;

	memset(entries_out, 0, sizeof(*entries_out));
	for (i = 0; !r && i < XLRBD__ARRAY_SIZE(xlrbd__lock_names); i++) {
		r = xlrbd__ceph_lock_list(ceph, image, xlrbd__lock_names[i],
					  &lockers);
		if (r < 0)
			break;
		r = append(entries_out, xlrbd__lock_names[i], &lockers);
		xlrbd__lockers_dispose(&lockers);
	}
	if (!r)
		return 0;
	xlrbd__entries_dispose(entries_out);
	return xlrbd__ceph_fail(ctx, ceph, r, "list the lock entries of",
				what);
}

int xlrbd__entry_break(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const struct xlrbd__image *image, const char *what,
		       const struct xlrbd__entry *entry)
{
	int r = xlrbd__ceph_lock_break(ceph, image, entry->lock,
				       entry->client, entry->text);

	if (r < 0 && r != -ENOENT)
		return xlrbd__ceph_fail(ctx, ceph, r, "break an entry of",
					what);
	return 0;
}

int xlrbd__entry_bury(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd__image *image, const char *what,
		      const struct xlrbd__entry *entry)
{
	struct xlrbd__cookie tombstone = entry->cookie;
	char text[XLRBD__COOKIE_MAX];
	int r;

	tombstone.state = XLRBD_FENCED;
	tombstone.time = time(NULL);
	xlrbd__cookie_format(&tombstone, text);
	r = xlrbd__ceph_lock_shared(ceph, image, entry->lock, XLRBD__LOCK_TAG,
				    text);
	if (r < 0 && r != -EEXIST)
		return xlrbd__ceph_fail(ctx, ceph, r,
					"leave a tombstone in the lock of",
					what);
	/* In this order: there is no moment without either. */
	return xlrbd__entry_break(ctx, ceph, image, what, entry);
}

void xlrbd__entries_dispose(struct xlrbd__entries *entries)
{
	size_t i;

	for (i = 0; i < entries->n; i++) {
		free(entries->v[i].client);
		free(entries->v[i].text);
	}
	free(entries->v);
	memset(entries, 0, sizeof(*entries));
}
