_base_ = ["bilinearx4_efficientnet-lite0_1xb32_cats-dogs-subset_75px.py"]

model = dict(resizer=dict(output_size=150))
