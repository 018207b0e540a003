// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who may hold an image together with whom: the rules, pure.  lock.c keeps
 * them against others who move at the same time.
 */
#include "config.h"

#include <string.h>

#include "internal.h"

bool xlrbd__lock_compatible(enum xlrbd_mode a, enum xlrbd_mode b)
{
	if (a == XLRBD_MODE_R_SHARED || b == XLRBD_MODE_R_SHARED)
		return true;
	if (a == XLRBD_MODE_R && b == XLRBD_MODE_R)
		return true;
	return a == XLRBD_MODE_W_SHARED && b == XLRBD_MODE_W_SHARED;
}

bool xlrbd__host_same(const struct xlrbd__host *a, const struct xlrbd__host *b)
{
	return !strcmp(a->name, b->name) &&
	       !strcmp(a->machine_id, b->machine_id) &&
	       !strcmp(a->boot_id, b->boot_id);
}

static bool same_vbd(const struct xlrbd__cookie *a,
		     const struct xlrbd__cookie *b)
{
	return xlrbd__host_same(&a->host, &b->host) && a->domid == b->domid &&
	       a->devid == b->devid && !strcmp(a->uuid, b->uuid);
}

/* A stub domain serves another one its emulated disks (xen: stubdom(7)). */
static bool is_stub_of(const struct xlrbd__cookie *stub,
		       const struct xlrbd__cookie *other)
{
	return stub->target && stub->target == other->domid &&
	       xlrbd__host_same(&stub->host, &other->host);
}

/*
 * xl adds the disks of a migrated domain on the destination while the source
 * is suspended but still has them, under this name (xen: xl_vmcontrol.c).
 */
size_t xlrbd__own_name_length(const char *domain)
{
	size_t length = strlen(domain);
	size_t suffix = sizeof(XLRBD__INCOMING) - 1;

	return length > suffix &&
	       !strcmp(domain + length - suffix, XLRBD__INCOMING) ?
	       length - suffix : length;
}

static bool is_incoming(const struct xlrbd__cookie *cookie)
{
	return cookie->domain[xlrbd__own_name_length(cookie->domain)];
}

/* Is @me what @other's domain becomes by migration? */
static bool is_next_of(const struct xlrbd__cookie *me,
		       const struct xlrbd__cookie *other)
{
	return is_incoming(me) && strcmp(me->uuid, XLRBD__NO_UUID) != 0 &&
	       !strcmp(me->uuid, other->uuid);
}

bool xlrbd__lock_conflicts(const struct xlrbd__cookie *me,
			   const struct xlrbd__cookie *other)
{
	if (other->state == XLRBD_FENCED)
		return false;
	/* A snapshot stays still whatever is written to its image. */
	if (me->snap[0] || other->snap[0])
		return false;
	if (xlrbd__lock_compatible(me->mode, other->mode))
		return false;
	return !same_vbd(me, other) && !is_next_of(me, other) &&
	       !is_stub_of(me, other) && !is_stub_of(other, me);
}

bool xlrbd__lock_bars(const struct xlrbd__cookie *tombstone,
		      const struct xlrbd__cookie *me)
{
	return tombstone->state == XLRBD_FENCED && is_next_of(me, tombstone);
}
