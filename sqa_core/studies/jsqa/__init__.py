"""The chapter on JSQA (paper 001): does hearing alike teach quality?"""
