"""Loss terms that several systems share: pure functions of tensors."""

from pasco_core.losses.class_weights import inverse_frequency_weights
from pasco_core.losses.lovasz import lovasz_softmax
from pasco_core.losses.masks import dice_cost, dice_loss, focal_cost, focal_loss

__all__ = ["dice_cost", "dice_loss", "focal_cost", "focal_loss", "inverse_frequency_weights", "lovasz_softmax"]
