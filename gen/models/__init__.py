"""Networks: the only place that subclasses flax.linen.Module. Images are NHWC; parameters are float32."""
