// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What this host has left behind, in this life or an earlier one: records of
 * vbds that are gone, and entries in the locks of images.
 *
 * Only what is certainly this host's, and certainly unused, is touched.  Dom0s
 * that were installed from one image share a machine-id, and names are given
 * twice; so a held entry of an earlier boot is ours only if its address is too,
 * and no client lives there.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "internal.h"

static bool is_same_image(const struct xlrbd__image *a,
			  const struct xlrbd__image *b)
{
	return !strcmp(a->fsid, b->fsid) && a->pool_id == b->pool_id &&
	       !strcmp(a->id, b->id);
}

static bool is_of_image(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
			const struct xlrbd__image *image)
{
	struct xlrbd__record record;
	bool is;

	if (xlrbd__run_read(ctx, vbd, &record) < 0)
		return false;
	is = is_same_image(&record.image, image);
	xlrbd__record_dispose(&record);
	return is;
}

int xlrbd__gc_records(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
		      const struct xlrbd__image *image,
		      const struct xlrbd__deadline *limit)
{
	struct xlrbd__vbd *vbds;
	int rc, r, done = 0;
	size_t i, n;

	rc = xlrbd__run_list(ctx, &vbds, &n);
	for (i = 0; i < n; i++) {
		/* Without its lock, which is held while it is prepared. */
		if (xlrbd__store_vbd_exists(store, &vbds[i]) ||
		    xlrbd__arrival_awaits(ctx, &vbds[i]) ||
		    (image && !is_of_image(ctx, &vbds[i], image)))
			continue;
		r = xlrbd__vbd_undo_lost(ctx, vbds[i].path, false, limit);
		if (r > 0)
			done++;
		else if (!rc)
			rc = r;
	}
	free(vbds);
	return rc ? rc : done;
}

/* All that telling a leftover takes. */
struct sweep {
	struct xlrbd_ctx *ctx;
	struct xlrbd__store *store;
	struct xlrbd__ceph *ceph;
	struct xlrbd__host host;
	int done;
};

static bool has_record(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd)
{
	struct xlrbd__record record;
	int rc = xlrbd__run_read(ctx, vbd, &record);

	if (!rc)
		xlrbd__record_dispose(&record);
	return rc != -ENOENT;
}

static bool find_vbd(struct sweep *sweep, const struct xlrbd__cookie *cookie,
		     struct xlrbd__vbd *vbd_out)
{
	char path[64];

	snprintf(path, sizeof(path), "backend/vbd/%u/%u", cookie->domid,
		 cookie->devid);
	return xlrbd__vbd_parse_path(sweep->ctx, path, vbd_out) == 0;
}

static bool has_vbd(struct sweep *sweep, const struct xlrbd__cookie *cookie)
{
	struct xlrbd__vbd vbd;
	bool has;

	if (!find_vbd(sweep, cookie, &vbd))
		return true;
	has = xlrbd__store_vbd_exists(sweep->store, &vbd);
	xlrbd__vbd_dispose(&vbd);
	return has;
}

/* An entry of this boot, whose vbd nobody knows any more. */
static bool is_orphan(struct sweep *sweep, const struct xlrbd__image *image,
		      const struct xlrbd__cookie *cookie)
{
	struct xlrbd__image mapped = *image;
	struct xlrbd__vbd vbd;
	bool known;

	if (!find_vbd(sweep, cookie, &vbd))
		return false;
	/* A record has the entry's fate in its hands, and a live add has one. */
	known = xlrbd__store_vbd_exists(sweep->store, &vbd) ||
		has_record(sweep->ctx, &vbd);
	xlrbd__vbd_dispose(&vbd);
	memcpy(mapped.snap, cookie->snap, sizeof(mapped.snap));
	return !known && !xlrbd__krbd_has_map(&mapped, cookie->addr);
}

/* A tombstone of this boot: has the old copy died? */
static bool is_dead(struct sweep *sweep, const char *what,
		    const struct xlrbd__cookie *cookie)
{
	/* In a driver domain nobody knows its UUID. */
	bool lives = !strcmp(cookie->uuid, XLRBD__NO_UUID) ?
		     has_vbd(sweep, cookie) :
		     xlrbd__store_domain_exists(sweep->store, cookie->domid,
						cookie->uuid);

	if (!lives)
		return true;
	xlrbd__log(sweep->ctx, LOG_WARNING,
		   "%s: taken over from domain %s (%u) while this host was cut off: its disk is dead; run `xl destroy %u`, and never migrate it",
		   what, cookie->domain, cookie->domid, cookie->domid);
	return false;
}

/* 1, 0 or a negative errno value. */
static int is_leftover(struct sweep *sweep, const struct xlrbd__image *image,
		       const char *what, const struct xlrbd__cookie *cookie)
{
	int watched;

	if (strcmp(cookie->host.name, sweep->host.name) != 0 ||
	    strcmp(cookie->host.machine_id, sweep->host.machine_id) != 0)
		return 0;
	if (!strcmp(cookie->host.boot_id, sweep->host.boot_id))
		return cookie->state == XLRBD_FENCED ?
		       is_dead(sweep, what, cookie) :
		       is_orphan(sweep, image, cookie);
	/*
	 * Its helper died with that boot; or it is a twin's, which looks for
	 * it again before it uses the disk.
	 */
	if (cookie->state == XLRBD_PENDING)
		return 1;
	if (!xlrbd__host_has_address(cookie->addr))
		return 0;
	watched = xlrbd__is_watched(sweep->ctx, sweep->ceph, image, what,
				    cookie->addr);
	return watched < 0 ? watched : !watched;
}

static int sweep_entry(struct sweep *sweep, const struct xlrbd__image *image,
		       const char *what, const struct xlrbd__entry *entry)
{
	int rc = is_leftover(sweep, image, what, &entry->cookie);

	if (rc <= 0)
		return rc;
	rc = xlrbd__entry_break(sweep->ctx, sweep->ceph, image, what, entry);
	if (rc < 0)
		return rc;
	xlrbd__log(sweep->ctx, LOG_NOTICE,
		   "%s: cleaned up the entry of domain %s (%s), which this host has no more",
		   what, entry->cookie.domain, entry->cookie.uuid);
	sweep->done++;
	return 0;
}

static int sweep_entries(struct sweep *sweep, const struct xlrbd__image *image,
			 const char *what, const struct xlrbd__entries *entries)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < entries->n; i++)
		rc = sweep_entry(sweep, image, what, &entries->v[i]);
	return rc;
}

int xlrbd__gc_entries(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
		      struct xlrbd__ceph *ceph,
		      const struct xlrbd__image *image, const char *what)
{
	struct sweep sweep = { .ctx = ctx, .store = store, .ceph = ceph };
	struct xlrbd__entries entries;
	int rc;

	rc = xlrbd__host_read(ctx, &sweep.host);
	if (!rc)
		rc = xlrbd__entries_list(ctx, ceph, image, what, &entries);
	if (rc < 0)
		return rc;
	rc = sweep_entries(&sweep, image, what, &entries);
	xlrbd__entries_dispose(&entries);
	return rc < 0 ? rc : sweep.done;
}

static int sweep_image(struct sweep *sweep, const struct xlrbd__found *found)
{
	int rc, done = sweep->done;

	if (found->rc)
		return xlrbd__fail(sweep->ctx, found->rc, "%s",
				   found->trouble);
	if (!found->entries.n)
		return 0;
	rc = xlrbd__ceph_open_pool(sweep->ctx, sweep->ceph, &found->image);
	if (!rc)
		rc = sweep_entries(sweep, &found->image, found->what,
				   &found->entries);
	/* Did one of them keep an ephemeral image? */
	if (!rc && sweep->done > done)
		rc = xlrbd__clone_drop(sweep->ctx, sweep->ceph, &found->image,
				       NULL, found->what);
	return rc < 0 ? rc : 0;
}

/* An image in trouble does not keep the others from being looked at. */
static int sweep_images(struct sweep *sweep, const struct xlrbd_spec *pool)
{
	struct xlrbd_spec where = {
		.pool = pool->pool ? pool->pool : (char *)XLRBD__DEFAULT_POOL,
		.ns = pool->ns,
	};
	struct xlrbd__scan scan;
	size_t i;
	int rc, r;

	rc = xlrbd__scan(sweep->ctx, sweep->ceph, &where, XLRBD__SCAN_ENTRIES,
			 &scan);
	if (rc < 0)
		return rc;
	for (i = 0; i < scan.n; i++) {
		r = sweep_image(sweep, &scan.v[i]);
		if (!rc)
			rc = r;
	}
	xlrbd__scan_dispose(&scan);
	return rc;
}

/* What was cut off by a takeover stays dead until its domain is gone. */
static int warn_of_dead_maps(struct sweep *sweep)
{
	struct xlrbd__record record;
	struct xlrbd__vbd *vbds;
	char *blocklist;
	size_t i, n;
	int rc;

	rc = xlrbd__ceph_blocklist(sweep->ctx, sweep->ceph, &blocklist);
	if (rc < 0)
		return rc;
	rc = xlrbd__run_list(sweep->ctx, &vbds, &n);
	for (i = 0; i < n; i++) {
		if (xlrbd__run_read(sweep->ctx, &vbds[i], &record) < 0)
			continue;
		if (xlrbd__mon_blocklisted_until(blocklist,
						 record.device.client_addr))
			xlrbd__log(sweep->ctx, LOG_WARNING,
				   "%s/%s: /dev/rbd%d of domain %u is dead: this host's client %s was fenced, by a takeover or a kernel that took it for dead; run `xl destroy %u` and start it again where it may run",
				   record.image.pool, record.image.name,
				   record.device.id, vbds[i].domid,
				   record.device.client_addr, vbds[i].domid);
		xlrbd__record_dispose(&record);
	}
	free(vbds);
	free(blocklist);
	return rc;
}

static int sweep_pool(struct sweep *sweep, const struct xlrbd_spec *spec)
{
	struct xlrbd__deadline deadline;
	int rc;

	xlrbd__deadline_set(&deadline, (spec->timeout_s ? spec->timeout_s :
				       XLRBD_TIMEOUT_DEFAULT) * 1000);
	rc = xlrbd__ceph_connect(sweep->ctx, spec, &deadline, &sweep->ceph);
	if (!rc)
		rc = warn_of_dead_maps(sweep);
	if (!rc)
		rc = sweep_images(sweep, spec);
	xlrbd__ceph_close(sweep->ctx, sweep->ceph);
	return rc;
}

int xlrbd_gc(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool)
{
	struct sweep sweep = { .ctx = ctx };
	int records, rc;

	xlrbd__begin(ctx);
	rc = xlrbd__store_open(ctx, &sweep.store);
	if (rc < 0)
		return rc;
	records = xlrbd__gc_records(ctx, sweep.store, NULL, NULL);
	rc = xlrbd__host_read(ctx, &sweep.host);
	if (!rc)
		rc = sweep_pool(&sweep, pool);
	xlrbd__store_close(sweep.store);
	if (records < 0)
		return records;
	return rc < 0 ? rc : records + sweep.done;
}
