// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Image features by the names that rbd(8) uses.
 */
#include "config.h"

#include <rbd/features.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* The bits are part of the on-disk format (ceph: include/rbd/features.h). */
static const char *const names[] = {
	"layering", "striping", "exclusive-lock", "object-map", "fast-diff",
	"deep-flatten", "journaling", "data-pool", "operations", "migrating",
	"non-primary", "dirty-cache",
};

bool xlrbd__image_has_exclusive_lock(const struct xlrbd__image *image)
{
	return image->features & RBD_FEATURE_EXCLUSIVE_LOCK;
}

void xlrbd__feature_names(uint64_t features, char *out, size_t size)
{
	size_t used = 0;
	unsigned int bit;

	out[0] = '\0';
	for (bit = 0; bit < 64; bit++) {
		char unknown[16];
		const char *name = unknown;

		if (!(features >> bit & 1))
			continue;
		if (bit < XLRBD__ARRAY_SIZE(names))
			name = names[bit];
		else
			snprintf(unknown, sizeof(unknown), "bit-%u", bit);
		if (used + strlen(name) + 3 > size)
			return;
		used += snprintf(out + used, size - used, "%s%s",
				 used ? ", " : "", name);
	}
}
