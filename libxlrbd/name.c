// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A target without an image: the image is named after the domain, NAME-VDEV,
 * or just NAME for its first disk.  Pure.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static bool is_first_disk(const char *vdev)
{
	/* xen: docs/man/xen-vbd-interface.7.pandoc */
	static const char *const names[] = { "xvda", "sda", "hda", "d0" };
	size_t i;

	for (i = 0; i < XLRBD__ARRAY_SIZE(names); i++)
		if (!strcmp(vdev, names[i]))
			return true;
	return false;
}

int xlrbd__name_after_domain(struct xlrbd_ctx *ctx,
			     const struct xlrbd__vbd *vbd, char **name_out,
			     char **short_name_out)
{
	size_t length = xlrbd__own_name_length(vbd->domain);

	*name_out = *short_name_out = NULL;
	if (!vbd->domid)
		return xlrbd__fail(ctx, -EINVAL,
				   "target: no image name, and this disk is attached to domain 0, as pygrub does before there is a domain; name the image");
	if (vbd->nameless)
		return xlrbd__fail(ctx, -EINVAL,
				   "target: no image name, and that of domain %u cannot be read here, as in a driver domain; name the image",
				   vbd->domid);
	if (!length || !vbd->vdev[0])
		return xlrbd__fail(ctx, -EINVAL,
				   "target: no image name, and the domain has none either; name the image");
	if (!xlrbd__name_is_usable(vbd->domain))
		return xlrbd__fail(ctx, -EINVAL,
				   "target: no image name, and that of domain \"%s\" cannot be one; name the image",
				   vbd->domain);
	if (asprintf(name_out, "%.*s-%s", (int)length, vbd->domain,
		     vbd->vdev) < 0) {
		*name_out = NULL;
		return xlrbd__fail_nomem(ctx);
	}
	if (!is_first_disk(vbd->vdev))
		return 0;
	*short_name_out = strndup(vbd->domain, length);
	return *short_name_out ? 0 : xlrbd__fail_nomem(ctx);
}
