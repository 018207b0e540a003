// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The disks of a domain that are block-rbd's affair.
 */
#include "config.h"

#include <string.h>

#include "domain.h"

/* The script's file name, whatever its directory. */
bool xl_disk_is_ours(const libxl_device_disk *disk)
{
	const char *slash = disk->script ? strrchr(disk->script, '/') : NULL;

	return disk->script &&
	       !strcmp(slash ? slash + 1 : disk->script, "block-rbd");
}

bool xl_disk_is_elsewhere(const libxl_device_disk *disk)
{
	return disk->backend_domid || disk->backend_domname;
}

int xl_check_disks(struct session *s, const libxl_domain_config *config)
{
	const char *name = config->c_info.name;
	int i, rc = DONE;

	for (i = 0; i < config->num_disks; i++) {
		const libxl_device_disk *disk = &config->disks[i];
		const struct xlrbd_disk of_ours = {
			.target = disk->pdev_path ? disk->pdev_path : "",
			.vdev = disk->vdev, .writable = disk->readwrite,
		};

		if (!xl_disk_is_ours(disk) || xl_disk_is_elsewhere(disk) ||
		    !xlrbd_disk_check(s->ctx, name, &of_ours))
			continue;
		/* Each of them: they can be mended together. */
		rc = fail("%s: %s: %s", name, disk->vdev,
			  xlrbd_error(s->ctx));
	}
	return rc;
}
