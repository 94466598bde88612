"""The chapter on HuMP-CAT (paper 002): do three kinds of features, fused by cross-attention, carry emotion from English to other languages?"""
