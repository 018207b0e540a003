// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who holds images, shown to people, and entries withdrawn by their hand.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "internal.h"

const char *xlrbd_life_name(enum xlrbd_life life)
{
	static const char *const names[] = {
		[XLRBD_LIFE_UNKNOWN] = "unknown",
		[XLRBD_LIFE_ALIVE] = "alive",
		[XLRBD_LIFE_SILENT] = "silent",
	};

	return (size_t)life < XLRBD__ARRAY_SIZE(names) ? names[life] : "";
}

static bool is_watched_anywhere(const struct xlrbd__scan *scan,
				const char *addr)
{
	size_t i;

	for (i = 0; i < scan->n; i++)
		if (xlrbd__watchers_have(&scan->v[i].watchers, addr))
			return true;
	return false;
}

static enum xlrbd_life life_of(const struct xlrbd__scan *scan,
			       const struct xlrbd__found *found,
			       const struct xlrbd__cookie *cookie)
{
	if (cookie->state != XLRBD_HELD)
		return XLRBD_LIFE_UNKNOWN;
	if (is_watched_anywhere(scan, cookie->addr))
		return XLRBD_LIFE_ALIVE;
	/* Its watchers could not be listed. */
	if (found->rc)
		return XLRBD_LIFE_UNKNOWN;
	return xlrbd__mode_writes(cookie->mode) ? XLRBD_LIFE_SILENT :
						  XLRBD_LIFE_UNKNOWN;
}

static int tell(const struct xlrbd__scan *scan,
		const struct xlrbd__found *found, xlrbd_holder_fn *fn,
		void *data)
{
	struct xlrbd_holder holder;
	char name[256];
	size_t i, length;
	int rc = 0;

	for (i = 0; !rc && i < found->entries.n; i++) {
		const struct xlrbd__entry *entry = &found->entries.v[i];
		const struct xlrbd__cookie *cookie = &entry->cookie;

		length = xlrbd__own_name_length(cookie->domain);
		snprintf(name, sizeof(name), "%.*s", (int)length,
			 cookie->domain);
		holder = (struct xlrbd_holder){
			.image = found->what, .snap = cookie->snap,
			.mode = cookie->mode, .state = cookie->state,
			.life = life_of(scan, found, cookie),
			.domain = name, .incoming = !!cookie->domain[length],
			.uuid = cookie->uuid,
			.domid = cookie->domid, .devid = cookie->devid,
			.host = cookie->host.name, .address = cookie->addr,
			.since = cookie->time, .entry = entry->client,
		};
		rc = fn(data, &holder);
	}
	if (rc || !found->rc)
		return rc;
	holder = (struct xlrbd_holder){
		.image = found->what,
		.trouble = found->trouble ? found->trouble : "out of memory",
	};
	return fn(data, &holder);
}

static void set_deadline(const struct xlrbd_spec *spec,
			 struct xlrbd__deadline *deadline)
{
	xlrbd__deadline_set(deadline, (spec->timeout_s ? spec->timeout_s :
				      XLRBD_TIMEOUT_DEFAULT) * 1000);
}

int xlrbd_holders(struct xlrbd_ctx *ctx, const struct xlrbd_spec *where,
		  xlrbd_holder_fn *fn, void *data)
{
	struct xlrbd__deadline deadline;
	struct xlrbd__ceph *ceph;
	struct xlrbd__scan scan;
	size_t i;
	int rc;

	xlrbd__begin(ctx);
	set_deadline(where, &deadline);
	rc = xlrbd__ceph_connect(ctx, where, &deadline, &ceph);
	if (rc < 0)
		return rc;
	rc = xlrbd__scan(ctx, ceph, where, XLRBD__SCAN_HOLDERS, &scan);
	xlrbd__ceph_close(ctx, ceph);
	if (rc < 0)
		return rc;
	for (i = 0; !rc && i < scan.n; i++) {
		/* Whoever asks for all pools means those that it may read. */
		if (!where->pool && xlrbd__found_is_not_ours(&scan.v[i]))
			continue;
		rc = tell(&scan, &scan.v[i], fn, data);
	}
	/* Not "nobody holds anything". */
	if (!rc && !where->pool && !scan.read_any && scan.n &&
	    xlrbd__found_is_not_ours(&scan.v[0]))
		rc = xlrbd__fail(ctx, scan.v[0].rc, "%s",
				 scan.v[0].trouble ? scan.v[0].trouble :
				 "out of memory");
	xlrbd__scan_dispose(&scan);
	return rc;
}

/* What unlocking takes. */
struct unlock {
	struct xlrbd_ctx *ctx;
	struct xlrbd__ceph *ceph;
	const struct xlrbd__found *found;
};

/*
 * A pending entry looks for itself again before its disk is used, and a
 * tombstone is in nobody's way but that of an old copy; only who is mapped can
 * do harm.
 */
static int check_harmless(struct unlock *u, const struct xlrbd__cookie *holder)
{
	if (holder->state != XLRBD_HELD)
		return 0;
	if (xlrbd__watchers_have(&u->found->watchers, holder->addr))
		return xlrbd__lock_refuse(u->ctx, u->found->what, holder,
					  "not unlocked: it is alive; shut the domain down there");
	if (xlrbd__mode_writes(holder->mode))
		return xlrbd__lock_refuse(u->ctx, u->found->what, holder,
					  "not unlocked: it is silent, and would go on writing when it comes back; `xlrbd takeover` fences it, and on its own host `xlrbd gc` cleans up");
	return 0;
}

static int unlock_entry(struct unlock *u, const struct xlrbd__entry *entry)
{
	int rc = xlrbd__entry_break(u->ctx, u->ceph, &u->found->image,
				    u->found->what, entry);

	if (!rc)
		xlrbd__log(u->ctx, LOG_NOTICE,
			   "%s: %s entry of domain %s (%s) on host %s withdrawn by hand",
			   u->found->what,
			   xlrbd_state_name(entry->cookie.state),
			   entry->cookie.domain, entry->cookie.uuid,
			   entry->cookie.host.name);
	return rc;
}

static bool is_tombstone(const struct xlrbd__entry *entry, const char *client)
{
	return !strcmp(entry->client, client) &&
	       entry->cookie.state == XLRBD_FENCED;
}

/*
 * Those of one helper: pending and held, if it was killed in between.  Neither
 * goes if one may not.  Tombstones bear the client of who took over: then they
 * are meant, and not what that one holds.
 */
static int unlock_client(struct unlock *u, const char *client)
{
	const struct xlrbd__entries *entries = &u->found->entries;
	bool tombstones = false;
	size_t i, n = 0;
	int rc = 0;

	if (u->found->rc)
		return xlrbd__fail(u->ctx, u->found->rc, "%s",
				   u->found->trouble);
	for (i = 0; i < entries->n; i++)
		tombstones |= is_tombstone(&entries->v[i], client);
	for (i = 0; !rc && i < entries->n; i++) {
		if (strcmp(entries->v[i].client, client) != 0)
			continue;
		if (!tombstones)
			rc = check_harmless(u, &entries->v[i].cookie);
		n++;
	}
	if (!n)
		return xlrbd__fail(u->ctx, -ENOENT,
				   "%s: no entry \"%s\"; see `xlrbd locks %s`",
				   u->found->what, client, u->found->what);
	for (i = 0; !rc && i < entries->n; i++)
		if (tombstones ? is_tombstone(&entries->v[i], client) :
				 !strcmp(entries->v[i].client, client))
			rc = unlock_entry(u, &entries->v[i]);
	return rc;
}

int xlrbd_unlock(struct xlrbd_ctx *ctx, const struct xlrbd_spec *spec,
		 const char *entry)
{
	struct xlrbd__deadline deadline;
	struct unlock u = { .ctx = ctx };
	struct xlrbd__scan scan;
	int rc;

	xlrbd__begin(ctx);
	if (!spec->image)
		return xlrbd__fail(ctx, -EINVAL, "unlock: no image is named");
	set_deadline(spec, &deadline);
	rc = xlrbd__ceph_connect(ctx, spec, &deadline, &u.ceph);
	if (rc < 0)
		return rc;
	rc = xlrbd__scan(ctx, u.ceph, spec, XLRBD__SCAN_HOLDERS, &scan);
	if (!rc) {
		u.found = &scan.v[0];
		rc = xlrbd__ceph_open_pool(ctx, u.ceph, &u.found->image);
		if (!rc)
			rc = unlock_client(&u, entry);
		xlrbd__scan_dispose(&scan);
	}
	xlrbd__ceph_close(ctx, u.ceph);
	return rc;
}
